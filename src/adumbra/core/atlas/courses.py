"""The courses of the named arteries in MNI152 space, as a file of the package.

They are those of the phantom and not of a population of patients: the courses around which those of simulated subjects
vary by about a millimetre. ``trainings/atlas/courses.py`` writes the file.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

import numpy as np

from adumbra.core.atlas.vessels import SIDES, on_side


@cache
def artery_courses() -> Mapping[str, np.ndarray]:
    """The points (K, 3) of each course from its beginning, MNI152 mm, by the name of the artery with its side."""
    content = json.loads((resources.files("adumbra.core.atlas") / "courses.json").read_text("utf-8"))
    courses: dict[str, np.ndarray] = {}
    for name, points in content["courses_mm"].items():
        for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
            courses.setdefault(on_side(name, side), np.array(points) * (sign, 1.0, 1.0))
    return courses
