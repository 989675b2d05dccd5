"""The expected lumen of each named artery, from the vessels of simulated subjects, as a file of the package.

It describes the phantom and not a population of patients. ``trainings/atlas/lumen.py`` writes the file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Lumen:
    """Diameter of the lumen of an artery over places along it, both sides, and subjects, in mm.

    Attributes:
        low_mm: The 5th percentile.
        median_mm: The median.
        high_mm: The 95th percentile.
    """

    low_mm: float
    median_mm: float
    high_mm: float


@cache
def lumen_atlas() -> Mapping[str, Lumen]:
    """The lumen by the name of the artery without its side, a key of ``core.atlas.vessels.BRANCHES_OF`` or basilar."""
    content = json.loads((resources.files("adumbra.core.atlas") / "lumen.json").read_text("utf-8"))
    return {name: Lumen(*values) for name, values in content["diameter_mm"].items()}
