"""Mutual information of two variables, or conditional mutual information given a third, in bits, by three estimators.

binned    plug-in information of the joint histogram. It detects any dependence that the bins resolve. It is too
          high for few samples (``bias``) and too low for few bins.
copula    information of a Gaussian copula with the variables' rank correlation. It needs few samples and takes
          variables of several components. It is a lower bound and misses dependence that is not monotone.
ksg       information from distances to nearest neighbours. It has little bias and no bins. It needs continuous
          values and is slower.
"""

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np

from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected
from adumbra.information.estimators.bias import (
    conditional_mutual_information_bias,
    mutual_information_bias,
    quadratic_extrapolation,
    warn_of_few_samples,
)
from adumbra.information.estimators.binning import Bins, equal_frequency, spanning
from adumbra.information.estimators.gaussian_copula import gaussian_copula_mutual_information
from adumbra.information.estimators.histogram import row_counts, target_counts
from adumbra.information.estimators.ksg import ksg_mutual_information
from adumbra.information.estimators.plugin import (
    Norm,
    plugin_conditional_mutual_information,
    plugin_mutual_information,
    plugin_normalised_mutual_information,
)
from adumbra.information.estimators.samples import require_choice, require_same_shape, row_and_range

Estimator = Literal["binned", "copula", "ksg"]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)
Binning = Literal["width", "frequency"]
BINNINGS: tuple[Binning, ...] = get_args(Binning)
Correction = Literal["none", "miller-madow", "quadratic"]
CORRECTIONS: tuple[Correction, ...] = get_args(Correction)

BINS = 32
"""Default number of bins of each variable."""


def mutual_information(
    a: Any,
    b: Any,
    *,
    estimator: Estimator = "binned",
    given: Any = None,
    within: np.ndarray | None = None,
    **options: Any,
) -> float:
    """The mutual information I(A; B), or the conditional mutual information I(A; B | given), in bits.

    Args:
        a: (N,), or an image if ``within`` is given. For copula and ksg also (N, D), a variable of D components.
        b: The same samples of the second variable.
        estimator: ``"binned"``, ``"copula"`` or ``"ksg"``.
        given: The same samples of the variable that is conditioned on.
        within: Bool, of the images' shape: the voxels that are used.
        options: Keyword arguments of ``binned_mutual_information``, ``gaussian_copula_mutual_information`` or
            ``ksg_mutual_information``.

    Raises:
        GridMismatch: ``within`` has another shape than the variables.
        ImplausibleValues: Values are NaN or infinite, there is none, or ``within`` is not a mask or contains no voxel.
        InputRejected: The numbers of samples differ, or an option is out of range.
    """
    require_choice("estimator", estimator, ESTIMATORS)
    if within is not None:
        a, b = inside(a, within, "a"), inside(b, within, "b")
        given = None if given is None else inside(given, within, "given")
    estimators: dict[str, Callable[..., float]] = {
        "binned": binned_mutual_information,
        "copula": gaussian_copula_mutual_information,
        "ksg": ksg_mutual_information,
    }
    return float(estimators[estimator](a, b, given=given, **options))


def binned_mutual_information(
    a: Any,
    b: Any,
    *,
    given: Any = None,
    bins: int | tuple[Bins, ...] = BINS,
    binning: Binning = "width",
    correction: Correction = "none",
    generator: np.random.Generator | None = None,
) -> float:
    """I(A; B), or I(A; B | given), of the joint histogram, in bits. ``FewSamples`` warns where it is mostly noise.

    Args:
        a: Any shape, finite.
        b: The second variable, of the same shape.
        given: The variable that is conditioned on, of the same shape.
        bins: Number of bins of each variable; or the bins of a, of b, and of ``given``.
        binning: ``"width"``, from the least value to the greatest, or ``"frequency"``, if ``bins`` is a number.
        correction: ``"miller-madow"`` or ``"quadratic"``: see ``bias``. A corrected value may be below 0.
        generator: Splits the samples for ``"quadratic"``.

    Raises:
        ImplausibleValues: Values are NaN or infinite, or there is none.
        InputRejected: The shapes differ, or an option is out of range.
    """
    require_choice("correction", correction, CORRECTIONS)
    counts = joint_table(a, b, given=given, bins=bins, binning=binning)
    statistic = plugin_mutual_information if given is None else plugin_conditional_mutual_information
    bias = float((mutual_information_bias if given is None else conditional_mutual_information_bias)(counts))
    warn_of_few_samples(counts, bias, stacklevel=2)
    if correction == "quadratic":
        if generator is None:
            raise InputRejected(
                "generator", expected="a generator", found="None", do="give one: the samples are split at random"
            )
        return float(quadratic_extrapolation(counts, statistic, generator=generator))
    return float(statistic(counts)) - (bias if correction == "miller-madow" else 0.0)


def normalised_mutual_information(
    a: Any,
    b: Any,
    *,
    by: Norm,
    bins: int | tuple[Bins, ...] = BINS,
    binning: Binning = "width",
) -> float:
    """I(A; B) of the joint histogram divided by an entropy, in [0, 1]; nan where both variables are constant.

    Args:
        a: Any shape, finite.
        b: The second variable, of the same shape.
        by: ``"min"``, ``"mean"``, ``"max"``, ``"sqrt"`` or ``"joint"``: see ``plugin_normalised_mutual_information``.
        bins: Number of bins of each variable; or the bins of a and of b.
        binning: ``"width"`` or ``"frequency"``, if ``bins`` is a number.

    Raises:
        ImplausibleValues: Values are NaN or infinite, or there is none.
        InputRejected: The shapes differ, or an option is out of range.
    """
    counts = joint_table(a, b, bins=bins, binning=binning)
    warn_of_few_samples(counts, float(mutual_information_bias(counts)), stacklevel=2)
    return float(plugin_normalised_mutual_information(counts, by=by))


def joint_table(
    a: Any, b: Any, *, given: Any = None, bins: int | tuple[Bins, ...] = BINS, binning: Binning = "width"
) -> np.ndarray:
    """The joint histogram, int64: (A, B), or (C, A, B) where ``given`` has C bins.

    Raises:
        ImplausibleValues: Values are NaN or infinite, or there is none.
        InputRejected: The shapes differ, or an option is out of range.
    """
    require_same_shape(a, b=b, given=given)
    variables = {"a": a, "b": b} if given is None else {"a": a, "b": b, "given": given}
    rows, fitted = binned_rows(variables, bins=bins, binning=binning)
    if given is None:
        return row_counts(rows[0], rows[1], bins=(fitted[0], fitted[1]))
    labels = [one.indices(row) for one, row in zip(fitted, rows, strict=True)]
    return target_counts(labels[2], labels[0], labels[1], shape=(fitted[2].count, fitted[0].count, fitted[1].count))


def binned_rows(
    variables: dict[str, Any], *, bins: int | tuple[Bins, ...], binning: Binning
) -> tuple[list[np.ndarray], list[Bins]]:
    """The values (N,) and the bins of each variable.

    Raises:
        ImplausibleValues: Values are NaN or infinite, or there is none.
        InputRejected: The number of ``Bins`` differs from that of variables, or an option is out of range.
    """
    require_choice("binning", binning, BINNINGS)
    if isinstance(bins, tuple) and len(bins) != len(variables):
        raise InputRejected(
            "bins",
            expected=f"bins of {', '.join(variables)}",
            found=f"{len(bins)} of them",
            do="give the bins of each, or one number",
        )
    rows, fitted = [], []
    for position, (name, values) in enumerate(variables.items()):
        row, low, high = row_and_range(values, name)
        rows.append(row)
        if isinstance(bins, tuple):
            fitted.append(bins[position])
        elif binning == "frequency":
            fitted.append(equal_frequency(row, bins=bins, name=name))
        else:
            fitted.append(spanning(low, high, bins=bins, name=name))
    return rows, fitted


def inside(values: Any, within: np.ndarray, name: str) -> np.ndarray:
    """The values of the voxels of a region, (N,), or (N, D) if each voxel has D components.

    Raises:
        GridMismatch: The region has another shape.
        ImplausibleValues: The region is not a mask, or contains no voxel.
    """
    image = np.asarray(values)
    if within.dtype != bool or not within.any():
        problem = "no voxel" if within.dtype == bool else f"{within.dtype}"
        raise ImplausibleValues(
            "within", expected="a boolean mask of at least one voxel", found=problem, do="choose another region"
        )
    if image.shape[: within.ndim] != within.shape:
        raise GridMismatch(
            "within",
            expected=f"the shape of {name}, {image.shape}",
            found=f"{within.shape}",
            do="resample the mask and the images to one grid",
        )
    return image[within]
