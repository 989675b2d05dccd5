"""The map of the pointwise mutual information of two images."""

from typing import Any

import numpy as np

from adumbra.information.estimators.bias import mutual_information_bias, warn_of_few_samples
from adumbra.information.estimators.binning import Bins
from adumbra.information.estimators.histogram import binned_counts
from adumbra.information.estimators.mutual_information import BINS, Binning, binned_rows, inside
from adumbra.information.estimators.plugin import plugin_pointwise_information


def pointwise_information_map(
    a: Any,
    b: Any,
    *,
    within: np.ndarray,
    bins: int | tuple[Bins, ...] = BINS,
    binning: Binning = "width",
) -> np.ndarray:
    """log2 p(a, b) / (p(a) p(b)) of the pair of bins of each voxel: an image in bits, float64; 0 outside ``within``.

    A positive value means that the pair is more frequent than if the images were independent, a negative one that it is
    less frequent. The mean over ``within`` is ``binned_mutual_information`` with the same bins, and ``FewSamples``
    warns in the same cases.

    Args:
        a: The first image.
        b: The second image, of the same shape.
        within: Bool, of the same shape: the voxels of the histogram, which are also those that get a value.
        bins: Number of bins of each image, over the values in ``within``; or the bins of a and of b.
        binning: ``"width"`` or ``"frequency"``, if ``bins`` is a number.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: Values within are NaN or infinite, or ``within`` is not a mask or contains no voxel.
        InputRejected: An option is out of range.
    """
    images = {name: inside(image, within, name) for name, image in (("a", a), ("b", b))}
    rows, fitted = binned_rows(images, bins=bins, binning=binning)
    first, second = (edges.indices(row) for edges, row in zip(fitted, rows, strict=True))
    counts = binned_counts(first, second, shape=(fitted[0].count, fitted[1].count))
    warn_of_few_samples(counts, float(mutual_information_bias(counts)), stacklevel=2)
    information = np.zeros(within.shape)
    information[within] = plugin_pointwise_information(counts)[first, second]
    return information
