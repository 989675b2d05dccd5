"""Fits the calibration of released weights, on simulated patients that neither trained nor measured them.

The patients have both examinations in turn: one scanner with all sequences, and many scanners with some of them. No
other cohort has the same seed. The interval of the volume is fitted to cover the true volume in 95 of 100 cases, and
the case score gets its meaning. With ``--work`` each case is predicted once, and a run that was stopped is continued.
Simulated patients are not patients: fit another calibration for real ones with ``adumbra calibrate --data``.

Run: ``python trainings/calibrate.py TARGET OUT.calibration.json [--masks DIR] [--weights FILE ...] [--cases N]
[--work DIR]``. Several ``--weights`` are an ensemble.
"""

import argparse
from pathlib import Path
from typing import get_args

from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.core.options import InferenceConfig
from adumbra.experiments.calibration import METHODS, calibrate
from adumbra.simulation import cohort
from adumbra.uncertainty.calibration.io import write_calibration
from adumbra.uncertainty.calibration.volume_fit import IntervalMethod

SEED, PRESETS, ALPHA = 43, ("monocentric", "multicentric"), 0.05


def main() -> None:
    """Fits and writes the calibration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=("lesion", "thrombus"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--masks", type=Path, help="folder of lesion masks in MNI space")
    parser.add_argument("--weights", nargs="+", help="weights to calibrate; the released ones of the target by default")
    parser.add_argument("--method", choices=tuple(METHODS), default="isotonic")
    parser.add_argument("--interval", choices=get_args(IntervalMethod), default="auto")
    parser.add_argument("--cases", type=int, default=40, help="number of simulated patients")
    parser.add_argument("--presets", nargs="+", default=PRESETS, help="examinations, in turn")
    parser.add_argument("--work", type=Path, help="folder of the predicted cases, for a run that can be resumed")
    options = parser.parse_args()
    masks = cohort.lesion_mask_files(options.masks)
    presets = options.presets
    cases = [cohort.PhantomRef(SEED, n, masks, presets[n % len(presets)]) for n in range(options.cases)]
    calibration = calibrate(
        cases, target=options.target, config=InferenceConfig(weights=options.weights, registration="never"),
        method=options.method, interval=options.interval, alpha=ALPHA, work=options.work,
        progress=ProgressBars(Console(stderr=True)),
    )  # fmt: skip
    write_calibration(options.out, calibration)
    print(options.out, "was fitted on", len(calibration.cases), "simulated cases:", type(calibration.volume).__name__)
    print("Winkler scores by cross-validation:", dict(calibration.winkler))


if __name__ == "__main__":
    main()
