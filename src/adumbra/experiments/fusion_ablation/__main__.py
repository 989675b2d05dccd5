"""The command of the ablation: trains what is missing, then prints the tables."""

import argparse
import sys
from pathlib import Path
from typing import get_args

import numpy as np

from adumbra.core.options import TrainedTarget
from adumbra.experiments import fusion_ablation
from adumbra.experiments.fusion_ablation.design import ARMS, ROWS, Ablation
from adumbra.experiments.fusion_ablation.table import MEASURES, case_measures, table_lines


def main(arguments: list[str] | None = None) -> None:
    """Runs the command.

    Args:
        arguments: The words after the module's name; those of the process by default.
    """
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    command, seeds, arms = options.pop("command"), options.pop("seeds"), options.pop("only")
    if command == "train":
        if options["out"] is None:
            parser.error("train needs --out")
        _train(Ablation(**options), arms, seeds)
    for folder in sorted(path for path in options["rows"].iterdir() if any(path.glob("*.json"))):
        sys.stdout.write("\n" + "\n".join(table_lines(folder)) + "\n")


def _train(ablation: Ablation, arms: list[str], seeds: list[int]) -> None:
    """Trains every arm with every seed and prints the means of each run as it is done."""
    import json

    from adumbra.experiments.fusion_ablation.train import ablation_cases, train_arm

    cases = ablation_cases(ablation)
    for seed in seeds:
        for arm in arms:
            row = ablation.row(arm, seed)
            existed = row.exists()
            if train_arm(ablation, arm, seed, cases).exists() and not existed:
                measures = case_measures(json.loads(row.read_text("utf-8")))
                means = {name: round(float(np.nanmean([case[name] for case in measures])), 3) for name in MEASURES}
                sys.stdout.write(f"{ablation.name} {arm} {seed} {means}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m adumbra.experiments.fusion_ablation",
        description=fusion_ablation.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("command", choices=["train", "table"])
    add("--out", type=Path, help="folder for caches, first-pass networks and checkpoints")
    add("--rows", type=Path, default=ROWS, help="folder of the results")
    add("--target", choices=get_args(TrainedTarget), default="lesion")
    add("--initial", default="", help="weights to fine-tune, by name or file; the released ones by default")
    add("--from-scratch", action="store_true", help="start from random weights, with networks of half the width")
    add("--masks", type=Path, help="folder of masks of real lesions in MNI space")
    add("--cases", type=int, default=Ablation.cases, help="number of simulated patients")
    add("--held-out", type=int, default=Ablation.held_out, help="number of them that are measured")
    add("--steps", type=int, default=Ablation.steps, help="optimiser steps of each arm")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--threads", type=int, default=Ablation.threads)
    add("--only", nargs="+", choices=list(ARMS), default=list(ARMS), metavar="ARM", help="train these arms only")
    return parser


if __name__ == "__main__":
    main()
