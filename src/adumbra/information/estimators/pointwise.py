"""The pointwise map: how much the two intensities of a voxel tell about each other, voxel by voxel."""

from typing import Any

import numpy as np

from adumbra.information.estimators.bias import information_bias, warn_of_few
from adumbra.information.estimators.binning import Bins
from adumbra.information.estimators.histogram import binned_counts
from adumbra.information.estimators.mutual_information import BINS, Binning, binned_rows, inside
from adumbra.information.estimators.plugin import local_information


def pointwise(
    a: Any,
    b: Any,
    *,
    within: np.ndarray,
    bins: int | tuple[Bins, ...] = BINS,
    binning: Binning = "width",
) -> np.ndarray:
    """log2 p(a, b) / (p(a) p(b)) of each voxel's pair of bins: an image in bits, float64; 0 outside.

    Above 0 the pair is met more often than if the two were independent, below 0 less often. The mean over ``within`` is
    the binned mutual information there, ``binned_information`` with the same bins. Warns with ``FewSamples`` as that
    does.

    Args:
        a: An image.
        b: Of the same shape.
        within: Bool, of the same shape: the voxels that the histogram is made of, and that get a value.
        bins: How many of each image, over the values in ``within``; or the bins of a and of b.
        binning: ``"width"`` or ``"frequency"``, for a number of bins.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: Values within are NaN or infinite, or ``within`` is no mask or holds no voxel.
        InputRejected: An option is out of range.
    """
    images = {name: inside(image, within, name) for name, image in (("a", a), ("b", b))}
    rows, fitted = binned_rows(images, bins=bins, binning=binning)
    first, second = (one.of(row) for one, row in zip(fitted, rows, strict=True))
    counts = binned_counts(first, second, shape=(fitted[0].count, fitted[1].count))
    warn_of_few(counts, float(information_bias(counts)), stacklevel=2)
    found = np.zeros(within.shape)
    found[within] = local_information(counts)[first, second]
    return found
