"""The calibration that ships beside weights: fitted on phantoms that neither trained nor measured them.

Phantoms of both examinations by turns, one scanner with all sequences and many with some; the cohort is no other's. The
interval of the volume is to hold the true one in 95 of 100 cases. Phantoms are not patients: on others, fit your own
with ``adumbra calibrate --data``.

Run: ``python trainings/calibrate.py TARGET OUT.calibration.json [--masks DIR] [--weights FILE] [--cases N]``.
"""

import argparse
from pathlib import Path

from rich.console import Console

from adumbra.cli.progress_bars import Bars
from adumbra.experiments.calibration import METHODS, calibrated
from adumbra.simulation import cohort
from adumbra.uncertainty.calibration.io import write_calibration

SEED, PRESETS, ALPHA = 43, ("monocentric", "multicentric"), 0.05


def main() -> None:
    """Fits it and writes it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=("lesion", "thrombus"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--weights", help="those that ship for the target by default")
    parser.add_argument("--method", choices=tuple(METHODS), default="isotonic")
    parser.add_argument("--cases", type=int, default=40)
    asked = parser.parse_args()
    outlines = cohort.lesion_mask_files(asked.masks)
    cases = [cohort.PhantomRef(SEED, n, outlines, PRESETS[n % len(PRESETS)]) for n in range(asked.cases)]
    found = calibrated(
        cases, target=asked.target, weights=[asked.weights or asked.target], method=asked.method, alpha=ALPHA,
        registration="never", progress=Bars(Console(stderr=True)),
    )  # fmt: skip
    write_calibration(asked.out, found)
    print(asked.out, "fitted on", len(found.cases), "phantoms:", found.volume)


if __name__ == "__main__":
    main()
