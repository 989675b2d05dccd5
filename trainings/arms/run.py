"""Trains the arms of the lesion network at an equal budget and writes the table of docs/results/lesion-arms.md.

The arms are data in ``adumbra.experiments.lesion_arms.design``; that package's description says what is equal and what
is measured. Repeat the command to go on: finished arms are skipped, and an interrupted training is resumed.

Run: ``python trainings/arms/run.py train --out DIR [--masks DIR] [--only ARM ...] [--cpu-seconds 600 | --steps N]
[--initial WEIGHTS]``, or ``python trainings/arms/run.py table`` for the table alone.
"""

from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.experiments.lesion_arms.__main__ import main

if __name__ == "__main__":
    main(progress=ProgressBars(Console(stderr=True)))
