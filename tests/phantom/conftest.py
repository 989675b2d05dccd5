"""Heads and nuclei that several tests of the phantom share."""

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.nuclei import nucleus_fractions
from adumbra.phantom.anatomy.template import template


def _template_head(age: float) -> Head:
    """The inner part of the template itself, 1 mm, as a subject without deformation: x −45 to 45 mm."""
    t = template()
    inner = (slice(53, 144), slice(64, 200), slice(44, 150))
    affine = t.affine.copy()
    affine[:3, 3] += [s.start for s in inner]
    grey, white = (np.float32(v[inner]) / 255 for v in (t.grey, t.white))
    x, y, z = grey.shape
    grid = Grid((x, y, z), affine)
    mni = np.moveaxis(grid.world_mm(np.indices(grey.shape).reshape(3, -1).T), 1, 0).reshape(3, x, y, z)
    white = np.minimum(white, 1 - grey)
    none = np.zeros_like(grey)
    return Head(
        grid, np.float32(mni), grey, white, 1 - grey - white, none, none, none, t.depth_mm[inner], none, 1.0, age
    )


@pytest.fixture(scope="session")
def heads_by_age() -> dict[float, Head]:
    """The template as a young, a middle-aged and a very old subject."""
    return {age: _template_head(age) for age in (0.0, 0.5, 1.0)}


@pytest.fixture(scope="session")
def template_head(heads_by_age: dict[float, Head]) -> Head:
    """The template as a middle-aged subject."""
    return heads_by_age[0.5]


@pytest.fixture(scope="session")
def nuclei(template_head: Head) -> dict[str, Volume]:
    """The deep nuclei of the template."""
    return nucleus_fractions(template_head)
