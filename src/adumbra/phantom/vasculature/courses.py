"""Computes the courses of the named arteries in MNI152 space, ``core.atlas.courses``.

They are those around which the courses of simulated subjects vary. The communicating arteries and the perforators of M1
are left out: no clot is named by them.
"""

import numpy as np

from adumbra.phantom.vasculature.arteries import skeleton
from adumbra.phantom.vasculature.vessels import curve_through

STEP_MM = 1.0
"""Distance between the points of a course."""
_LEFT_OUT = ("ACom", "PCom", "M1 perforators")


def mean_courses() -> dict[str, list[list[float]]]:
    """The points of each course from its beginning, MNI152 mm to 0.1 mm, by the name of the artery.

    The right side and the basilar artery; the left side mirrors x.
    """
    courses = {}
    for segment in skeleton()[0]:
        name = segment.name.removesuffix("_R")
        if not segment.name.endswith("_L") and name not in _LEFT_OUT:
            points = curve_through(np.array(segment.points_mm, dtype=np.float64), step_mm=STEP_MM)
            courses[name] = points.round(1).tolist()
    return courses
