"""Writes the expected lumen of each artery, ``lumen.json`` of ``adumbra.core.atlas``.

The subjects are the first of those that the atlas of arteries was computed from, see ``trainings/atlas/vessels.py``.

Run: ``python trainings/atlas/lumen.py [--subjects 40] [--out src/adumbra/core/atlas]``. It takes about half a processor
second for each subject.
"""

import argparse
import json
from pathlib import Path

from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.core.atomic_io import write_atomically
from adumbra.phantom.vasculature.lumen_widths import PERCENTILES, lumen_widths
from adumbra.phantom.vasculature.vessel_atlas import atlas_subject

SEED = 19


def main() -> None:
    """Grows the arteries of the subjects and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path("src/adumbra/core/atlas"))
    options = parser.parse_args()
    subjects = (atlas_subject(SEED, number) for number in range(options.subjects))
    progress = ProgressBars(Console(stderr=True))
    widths = lumen_widths(progress.track(subjects, what="Growing arteries", total=options.subjects))
    content = {"subjects": options.subjects, "percentiles": list(PERCENTILES), "diameter_mm": widths}
    write_atomically(options.out / "lumen.json", (json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
