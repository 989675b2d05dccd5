"""What the masks of the draws must be before they are counted by the regions of an atlas."""

from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Mask


def check_mask(mask: Mask, grid: Grid) -> None:
    """Refuses a mask that is not on the grid.

    Raises:
        GridMismatch: The mask does not have the shape of the grid.
    """
    if mask.shape != grid.shape:
        raise GridMismatch(
            "mask of a draw",
            expected=f"shape {grid.shape}, that of the case",
            found=f"shape {mask.shape}",
            do="give the masks on the grid of the case",
        )


def check_draws(number: int, where: str) -> None:
    """Refuses a result without draws.

    Args:
        number: Number of draws.
        where: What is computed from them.

    Raises:
        MissingInput: There is no draw.
    """
    if number == 0:
        raise MissingInput(where, expected="the mask of at least one draw", found="none", do="give one mask or more")
