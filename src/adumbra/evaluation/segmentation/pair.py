"""The predicted and the true mask of one case: checked once, labelled once, and shared by all metrics."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adumbra.core.geometry.components import label_components
from adumbra.core.geometry.grid import Grid
from adumbra.evaluation.validation import require_masks, require_one_shape


@dataclass(frozen=True, eq=False)
class Components:
    """The 26-connected components of a mask.

    Attributes:
        labels: (X, Y, Z), integers: 1 … count in the components, 0 in the background.
        count: Number of components.
    """

    labels: np.ndarray
    count: int


@dataclass(frozen=True, eq=False)
class MaskPair:
    """A predicted mask and the true one on the same grid.

    Attributes:
        prediction: (X, Y, Z), bool.
        truth: (X, Y, Z), bool.
        grid: Grid of both masks.

    Raises:
        GridMismatch: A mask does not have the shape of the grid.
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
        """Number of voxels in both masks."""
        return int(np.count_nonzero(self.prediction & self.truth))

    @cached_property
    def predicted(self) -> int:
        """Number of voxels in the prediction."""
        return int(np.count_nonzero(self.prediction))

    @cached_property
    def true(self) -> int:
        """Number of voxels in the truth."""
        return int(np.count_nonzero(self.truth))

    @cached_property
    def predicted_components(self) -> Components:
        """Components of the prediction."""
        return Components(*label_components(self.prediction, connectivity=26))

    @cached_property
    def true_components(self) -> Components:
        """Components of the truth."""
        return Components(*label_components(self.truth, connectivity=26))
