"""The coarse grid in MNI152 space on which hypoperfusion is estimated: a territory is large, and 4 mm suffice."""

import numpy as np

from adumbra.core.geometry.grid import Grid

SPACING_MM = 4.0
ATLAS_GRID = Grid(
    (40, 48, 40),
    np.array(
        [
            [SPACING_MM, 0.0, 0.0, -78.0],
            [0.0, SPACING_MM, 0.0, -110.0],
            [0.0, 0.0, SPACING_MM, -70.0],
            [0.0, 0.0, 0.0, 1.0],
        ]
    ),
)
"""It holds the brain of the template. The plane x = 0 lies between voxels 19 and 20, so that a reversed first axis
exchanges left and right."""
