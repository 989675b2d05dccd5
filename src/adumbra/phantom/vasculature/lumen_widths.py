"""Computes the expected lumen of each artery, ``core.atlas.lumen``, from the vessels of many simulated subjects."""

from collections.abc import Iterable

import numpy as np

from adumbra.core.atlas.vessels import BASILAR, BRANCHES_OF
from adumbra.phantom.vasculature.vessel_atlas import AtlasSubject

PERCENTILES = (5.0, 50.0, 95.0)
"""Percentiles that are stored for each artery."""


def lumen_widths(subjects: Iterable[AtlasSubject]) -> dict[str, list[float]]:
    """The percentiles of the diameter of each named artery, without its unnamed branches, in mm.

    Args:
        subjects: The population.

    Returns:
        By the name of the artery without its side, the diameters at ``PERCENTILES``, to 0.01 mm.
    """
    names = (*BRANCHES_OF, BASILAR)
    diameters: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for subject in subjects:
        for name in names:
            nodes = (subject.artery == name) & ~subject.twig
            diameters[name].append(2.0 * subject.arteries.radius_mm[nodes])
    pooled = {name: np.concatenate(values) for name, values in diameters.items()}
    return {name: np.percentile(values, PERCENTILES).round(2).tolist() for name, values in pooled.items()}
