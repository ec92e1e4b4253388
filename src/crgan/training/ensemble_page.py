"""The page of an ensemble: its members, and what was chosen for all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crgan.ensemble import MEMBERS, Ensemble
from crgan.report.html import Section, Table, write_report
from crgan.report.provenance import today, versions
from crgan.training.calibration_page import list_temperatures
from crgan.training.dial_page import draw_dials, list_settings

SUMMARY = (
    "{members} members, whose probabilities are averaged before one decision is made. Each has a page of its own, "
    "{folder}/NUMBER/report.html."
    "\n\n"
    "The figures below are those of single members, each on the validation patients that it has not learned from, put together; the "
    "average of all members is not measured by them, since every patient is known to some. How well it does is told by `crgan predict` "
    "and `crgan evaluate` on patients that no member has read."
)


def write_ensemble_page(path: Path, ensemble: Ensemble, *, seeds: Sequence[int]) -> None:
    """Write ``report.html`` of an ensemble."""
    target = ensemble.labels.targets[0]
    rows = [
        [str(number), str(seed), f"{member.dial.settings[target].p:g}, {member.dial.settings[target].q:g}"]
        for number, (seed, member) in enumerate(zip(seeds, ensemble.members, strict=True))
    ]
    write_report(
        path,
        title=f"Ensemble of {len(ensemble.members)} {ensemble.config.system}",
        summary=SUMMARY.format(members=len(ensemble.members), folder=MEMBERS),
        sections=[
            Section(heading="Members", parts=[Table(caption="Members", columns=["member", "seed", f"p, q of {target}, alone"], rows=rows)]),
            Section(heading="The dial", parts=[*draw_dials(ensemble), list_settings(ensemble)]),
            Section(heading="What the probabilities mean", parts=[list_temperatures(ensemble)]),
        ],
        settings={"versions": versions(["torch", "numpy"]), "date": today(), "all settings": f"config.yaml in each of {MEMBERS}/"},
    )
