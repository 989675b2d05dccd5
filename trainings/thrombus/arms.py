"""Trains the arms of the thrombus network at an equal budget and writes their table.

The arms are data in ``adumbra.experiments.clot_arms.design``; that package's description says what is equal and what is
measured. Repeat the command to go on: finished arms are skipped, and an interrupted training is resumed.

Run: ``python trainings/thrombus/arms.py train --work DIR --out DIR [--masks DIR] [--only ARM ...] [--seeds 0 1 2]
[--cpu-seconds 1800]``, or ``python trainings/thrombus/arms.py table --out DIR`` for the table alone.
"""

from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.experiments.clot_arms.__main__ import main

if __name__ == "__main__":
    main(progress=ProgressBars(Console(stderr=True)))
