"""The command of the study: trains what is missing, then prints the table and writes it beside the rows."""

import argparse
import sys
from pathlib import Path

from adumbra.core.atomic_io import write_atomically
from adumbra.core.progress import Progress, quiet
from adumbra.experiments import clot_arms
from adumbra.experiments.clot_arms.design import ARMS, ClotStudy
from adumbra.experiments.clot_arms.table import table_lines
from adumbra.experiments.clot_arms.train import PRESET, train_arm
from adumbra.experiments.lesion_arms.rows import budget_key, read_rows


def main(arguments: list[str] | None = None, *, progress: Progress = quiet) -> None:
    """Runs the command.

    Args:
        arguments: The words after the module's name; those of the process by default.
        progress: Reports simulation, training and measurement.
    """
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    command, seeds, arms = (options.pop(name) for name in ("command", "seeds", "only"))
    if command == "train" and options["work"] is None:
        parser.error("train needs --work")
    study = ClotStudy(**options | {"work": options["work"] or options["out"]})
    if command == "train":
        sources = study.sources(progress=progress)
        for seed in seeds:
            for arm in arms:
                train_arm(study, arm, seed, sources, progress=progress)
    rows = read_rows(study.rows)
    of_budget = [row for row in rows if budget_key(row.budget) == budget_key(rows[-1].budget)]
    text = "\n".join(table_lines(of_budget, PRESET)) + "\n"
    write_atomically(study.out / "table.md", text.encode())
    sys.stdout.write(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=clot_arms.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("command", choices=["train", "table"])
    add("--work", type=Path, help="folder of heads and of prepared cases")
    add("--out", type=Path, required=True, help="folder of trainings, held-out phantoms, rows and table")
    add("--masks", type=Path, help="folder of masks of real lesions in MNI space")
    add("--only", nargs="+", choices=list(ARMS), default=list(ARMS), metavar="ARM", help="train these arms only")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    for name in ("heads", "patches", "cases", "measured-cases", "threads"):
        add(f"--{name}", type=int, default=getattr(ClotStudy, name.replace("-", "_")))
    add("--cpu-seconds", type=float, default=ClotStudy.cpu_seconds, help="CPU time of each training")
    return parser


if __name__ == "__main__":
    main()
