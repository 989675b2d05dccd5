"""Length of an elongated mask, such as a clot, along its own course.

It is the length of the centre line of each component, see ``core.geometry.centre_line``. A row of voxels has its own
length; a tube has that of its axis between its ends, to within a voxel, whatever its width, bends and spacing. Side
branches are left out.
"""

from scipy import ndimage

from adumbra.core.geometry.centre_line import centre_line
from adumbra.core.geometry.components import label_components
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.reflection import sub_grid
from adumbra.core.types import Mask


def path_length_mm(mask: Mask, grid: Grid) -> float:
    """The sum over the components of a mask of their length along their course, in mm; 0 for an empty mask.

    Gaps between components are not counted.

    Args:
        mask: (X, Y, Z).
        grid: Its grid.
    """
    labels, _ = label_components(mask)
    boxes = ndimage.find_objects(labels)
    return float(
        sum(
            centre_line(
                labels[box] == number, sub_grid(grid, [part.start for part in box], labels[box].shape)
            ).length_mm
            for number, box in enumerate(boxes, start=1)
        )
    )
