"""What the first pass of a case gives to the search for candidates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Mask, Structure, Volume


@dataclass(frozen=True, eq=False)
class FirstPass:
    """Maps of a first pass.

    Attributes:
        grid: Grid of the maps.
        probability: (X, Y, Z), mean probability of a clot.
        structures: Mean probability of arteries as if they were open, of veins and of flow; any may be missing.
        reached: (X, Y, Z), share of the draws that reach the low threshold of the candidates.
    """

    grid: Grid
    probability: Volume
    structures: Mapping[Structure, Volume]
    reached: Volume

    @property
    def missing_flow(self) -> Volume | None:
        """Expected lumen minus lumen with flow, (X, Y, Z), in [0, 1]; None where either is not predicted."""
        return missing_flow(self.structures)


def missing_flow(structures: Mapping[Structure, Volume]) -> Volume | None:
    """Probability of arteries minus that of flow, at least 0; None where either is not predicted."""
    if "arteries" not in structures or "flow" not in structures:
        return None
    return np.maximum(structures["arteries"] - structures["flow"], np.float32(0.0))


def first_pass(
    draws: Iterable[Volume], structures: Mapping[Structure, Volume], grid: Grid, *, low: float, within: Mask
) -> FirstPass:
    """The maps of some draws of a first pass.

    Args:
        draws: Draws on ``grid``; at least one.
        structures: Probability of the structures on ``grid``.
        grid: Grid of the draws.
        low: Low threshold of the candidates.
        within: (X, Y, Z), the analysed region; there is no candidate beyond it.

    Raises:
        ValueError: There is no draw.
    """
    total, count = np.zeros((2, *grid.shape), dtype=np.float32), 0
    for draw in draws:
        count += 1
        total[0] += draw
        total[1] += draw >= np.float32(low)
    if not count:
        raise ValueError("draws: expected at least one, found none")
    probability, reached = np.where(within, total / np.float32(count), np.float32(0.0))
    return FirstPass(grid, probability, structures, reached)
