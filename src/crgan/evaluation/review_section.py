"""The section of an evaluation's page that tells what looking again would bring."""

from __future__ import annotations

from collections.abc import Sequence

from crgan.evaluation.evidence import Evaluation
from crgan.evaluation.review import AT, Workload, workload
from crgan.evaluation.tables import number
from crgan.report.charts import draw_curves
from crgan.report.html import Chart, Section, Table

NOTE = (
    "Places are those of where_to_look/, looked at in the order of their rank, in every case. Found lesions: of those without any marked "
    "voxel, how many lie in these places at least in part. Missed voxels: share of what the mask left out that lies in them, mean over the "
    "cases that miss any. Looked at: mean over all cases."
)


def review_sections(evaluation: Evaluation) -> list[Section]:
    """A table and a chart, for every target of which something was missed; nothing where no places are listed."""
    work = {
        target: [workload(reviews, most=most) for most in AT] for target in evaluation.targets if (reviews := evaluation.reviews(target))
    }
    if not work:
        return []
    cases = len(evaluation.reviews(next(iter(work))))
    rows = [[target, *_row(step)] for target, steps in work.items() for step in steps]
    table = Table(
        caption="The first places of each case",
        columns=["target", "places", "looked at", "voxels", "lesions found", "missed voxels found"],
        rows=rows,
        note=f"{NOTE} Cases: {cases}.",
    )
    chart = _chart(work)
    return [Section(heading="Where to look again", parts=[*([chart] if chart else []), table])]


def _row(step: Workload) -> list[str]:
    lesions = f"{step.lesions_found} of {step.lesions_missed}" if step.lesions_missed else "none missed"
    return [str(step.most), f"{step.places:.1f}", f"{step.voxels:,.0f}", lesions, number(step.voxels_found)]


def _chart(work: dict[str, list[Workload]]) -> Chart | None:
    panels, words = [], []
    for target, steps in work.items():
        lines = {name: points for name, points in _lines(steps).items() if points}
        if lines:
            panels.append(draw_curves(f"{target}: share of the misses", lines, x_label="places looked at, mean per case"))
            words += [f"{target}, {name}: up to {points[-1][1]:.2f} in {points[-1][0]:.1f} places" for name, points in lines.items()]
    if not panels:
        return None
    return Chart(
        panels=panels,
        alt="What looking brings. " + "; ".join(words) + ".",
        caption="Share of the missed voxels, and of the lesions missed altogether, that lie in the first places of each case.",
    )


def _lines(steps: Sequence[Workload]) -> dict[str, list[tuple[float, float]]]:
    return {
        "voxels": [(step.places, step.voxels_found) for step in steps if step.voxels_found is not None],
        "lesions": [(step.places, step.lesions_found / step.lesions_missed) for step in steps if step.lesions_missed],
    }
