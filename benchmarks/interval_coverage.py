"""How often a 95 % interval holds the true mean: `python benchmarks/interval_coverage.py`.

Patients are drawn from a distribution whose mean is known; their interval holds it or does not. Of 2,000 repetitions 95 %
should; chance alone makes that 94.0 to 96.0 %. Drawn are values like those of segmentation: Dice (a beta distribution,
skewed to the left), false negative rates (skewed to the right), HD95 (log-normal, a long tail), differences between two
systems (nearly normal), and Dice of patients with two examinations each that resemble each other.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np

from crgan.evaluation.statistics import bootstrap_mean

Draw = Callable[[np.random.Generator, int], np.ndarray]


def two_examinations(rng: np.random.Generator, patients: int) -> np.ndarray:
    """Values of two examinations of each patient, ``(2, patients)``: the patient's own mean, and a little of each examination."""
    return rng.beta(8, 2, patients) + rng.normal(0, 0.02, (2, patients))


DRAWS: dict[str, tuple[Draw, float]] = {
    "Dice, beta(8, 2)": (lambda rng, n: rng.beta(8, 2, n), 0.8),
    "FNR, beta(1.5, 8)": (lambda rng, n: rng.beta(1.5, 8, n), 1.5 / 9.5),
    "HD95, log-normal(1, 0.7)": (lambda rng, n: rng.lognormal(1, 0.7, n), float(np.exp(1 + 0.7**2 / 2))),
    "difference, t with 8 degrees": (lambda rng, n: rng.standard_t(8, n), 0.0),
    "Dice, two examinations each": (two_examinations, 0.8),
}


def coverage(draw: Draw, mean: float, *, patients: int, repetitions: int, seed: int = 0) -> float:
    """Share of the repetitions whose interval holds the mean."""
    rng = np.random.default_rng(seed)
    names = [str(number) for number in range(patients)]
    held = 0
    for _ in range(repetitions):
        values = draw(rng, patients)
        found = bootstrap_mean(values.ravel().tolist(), names * (values.size // patients))
        held += found.ci_low is not None and found.ci_high is not None and found.ci_low <= mean <= found.ci_high
    return held / repetitions


def main(arguments: list[str]) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--patients", type=int, nargs="+", default=[5, 10, 20, 50, 200])
    options = parser.parse_args(arguments)
    print("| values | " + " | ".join(f"n = {n}" for n in options.patients) + " |")
    print("|---|" + "---:|" * len(options.patients))
    for name, (draw, mean) in DRAWS.items():
        shares = [coverage(draw, mean, patients=n, repetitions=options.repetitions) for n in options.patients]
        print(f"| {name} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
