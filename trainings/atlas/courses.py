"""Writes the courses of the named arteries, ``courses.json`` of ``adumbra.core.atlas``.

They are those of the phantom: placed manually on the template after the textbook anatomy of the circle of Willis.

Run: ``python trainings/atlas/courses.py [--out src/adumbra/core/atlas]``.
"""

import argparse
import json
from pathlib import Path

from adumbra.core.atomic_io import write_atomically
from adumbra.phantom.vasculature.courses import STEP_MM, mean_courses


def main() -> None:
    """Writes the file, one artery a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("src/adumbra/core/atlas"))
    options = parser.parse_args()
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(points)}" for name, points in mean_courses().items())
    text = f'{{\n "step_mm": {STEP_MM},\n "courses_mm": {{\n{rows}\n }}\n}}\n'
    write_atomically(options.out / "courses.json", text.encode())


if __name__ == "__main__":
    main()
