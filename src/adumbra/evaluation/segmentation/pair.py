"""A predicted and a true mask of one case, checked once and labelled once: what every metric takes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adumbra.core.geometry.components import labelled
from adumbra.core.geometry.grid import Grid
from adumbra.evaluation.validation import require_masks, require_one_shape


@dataclass(frozen=True, eq=False)
class Components:
    """The 26-connected components of a mask: labels 1 … count, 0 is background."""

    labels: np.ndarray
    count: int


@dataclass(frozen=True, eq=False)
class Pair:
    """A prediction beside its truth, voxel for voxel.

    Attributes:
        prediction: (X, Y, Z), bool.
        truth: (X, Y, Z), bool.
        grid: Where both lie.

    Raises:
        GridMismatch: The masks have not both the grid's shape.
        ImplausibleValues: A mask is not boolean.
    """

    prediction: np.ndarray
    truth: np.ndarray
    grid: Grid

    def __post_init__(self) -> None:
        for name, mask in (("prediction", self.prediction), ("truth", self.truth)):
            require_one_shape(name, self.grid.shape, mask)
            require_masks(**{name: mask})

    @cached_property
    def both(self) -> int:
        """How many voxels are in both masks."""
        return int(np.count_nonzero(self.prediction & self.truth))

    @cached_property
    def predicted(self) -> int:
        """How many voxels are in the prediction."""
        return int(np.count_nonzero(self.prediction))

    @cached_property
    def true(self) -> int:
        """How many voxels are in the truth."""
        return int(np.count_nonzero(self.truth))

    @cached_property
    def predicted_components(self) -> Components:
        """The components of the prediction."""
        return Components(*labelled(self.prediction, connectivity=26))

    @cached_property
    def true_components(self) -> Components:
        """The components of the truth."""
        return Components(*labelled(self.truth, connectivity=26))
