"""The command of the study: trains what is missing, then writes the tables."""

import argparse
import sys
from pathlib import Path

from adumbra.core.progress import Progress, quiet
from adumbra.experiments import lesion_arms
from adumbra.experiments.lesion_arms.design import ARMS, PAGE, ROWS, Study
from adumbra.experiments.lesion_arms.rows import read_rows
from adumbra.experiments.lesion_arms.table import table_lines, write_tables
from adumbra.experiments.lesion_arms.train import train_arm


def main(arguments: list[str] | None = None, *, progress: Progress = quiet) -> None:
    """Runs the command.

    Args:
        arguments: The words after the module's name; those of the process by default.
        progress: Reports simulation, training and measurement.
    """
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    command, seeds, arms, page = (options.pop(name) for name in ("command", "seeds", "only", "page"))
    rows = options["rows"]
    if command == "train":
        if options["out"] is None:
            parser.error("train needs --out")
        study = Study(**options | {"measured": tuple(options["measured"])})
        for seed in seeds:
            for arm in arms:
                train_arm(study, arm, seed, progress=progress)
    if page.exists():
        write_tables(rows, page)
    sys.stdout.write("\n".join(table_lines(read_rows(rows))) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=lesion_arms.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("command", choices=["train", "table"])
    add("--out", type=Path, help="folder for caches, held-out phantoms, checkpoints and weights")
    add("--rows", type=Path, default=ROWS, help="file of the results")
    add("--page", type=Path, default=PAGE, help="page whose tables are replaced")
    add("--only", nargs="+", choices=list(ARMS), default=list(ARMS), metavar="ARM", help="train these arms only")
    add("--seeds", type=int, nargs="+", default=[0])
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--cpu-seconds", type=float, default=Study.cpu_seconds, help="CPU time of each training")
    budget.add_argument("--steps", type=int, help="optimiser steps of each training, in place of CPU time")
    add("--initial", default="", help="weights that every arm is fine-tuned from; by default all start at random")
    add("--learning-rate", type=float, default=Study.learning_rate)
    add("--cases", type=int, default=Study.cases, help="number of training patients")
    add("--measured", nargs="+", default=list(Study.measured), metavar="PRESET", help="presets of held-out phantoms")
    add("--measured-cases", type=int, default=Study.measured_cases, help="held-out phantoms of each preset")
    add("--masks", type=Path, help="folder of masks of real lesions in MNI space")
    add("--patch", type=int, default=Study.patch)
    add("--batch", type=int, default=Study.batch)
    add("--threads", type=int, default=Study.threads)
    add("--workers", type=int, default=Study.workers, help="processes that simulate")
    return parser


if __name__ == "__main__":
    main()
