"""The rules that draw the ASPECTS regions give the file of the package."""

import numpy as np

from adumbra.core.atlas.aspects import aspects_atlas
from adumbra.phantom.anatomy.aspects_regions import aspects_regions


def test_the_rules_and_the_file_agree() -> None:
    labels, grid = aspects_regions()
    stored, stored_grid = aspects_atlas()
    assert grid.coincides(stored_grid)
    assert labels.dtype == stored.dtype
    # Rounding of another processor may move a voxel at a border.
    assert (labels != stored).sum() <= 20
    np.testing.assert_array_equal(labels, labels[::-1])
