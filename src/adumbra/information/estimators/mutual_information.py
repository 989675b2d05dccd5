"""Mutual information of two variables, in bits, by one of three estimators; given a third variable, if one is given.

binned    the plug-in information of the joint histogram. Sees any dependence that the bins resolve; too high for
          few samples (``bias``), too low for few bins
copula    that of a Gaussian with the variables' rank correlation. Needs few samples, takes variables of several
          dimensions; a lower bound, blind to what is not monotone
ksg       from the distances to nearest neighbours. Hardly biased, no bins; for continuous values, and slower
"""

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np

from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected
from adumbra.information.estimators.bias import (
    conditional_information_bias,
    extrapolated,
    information_bias,
    warn_of_few,
)
from adumbra.information.estimators.binning import Bins, equal_frequency, spanning
from adumbra.information.estimators.gaussian_copula import copula_information
from adumbra.information.estimators.histogram import row_counts, target_counts
from adumbra.information.estimators.ksg import ksg_information
from adumbra.information.estimators.plugin import (
    Norm,
    conditional_table_information,
    normalised_table_information,
    table_information,
)
from adumbra.information.estimators.samples import one_of, row_and_range, same_shape

Estimator = Literal["binned", "copula", "ksg"]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)
Binning = Literal["width", "frequency"]
BINNINGS: tuple[Binning, ...] = get_args(Binning)
Correction = Literal["none", "miller-madow", "quadratic"]
CORRECTIONS: tuple[Correction, ...] = get_args(Correction)

BINS = 32


def mutual_information(
    a: Any,
    b: Any,
    *,
    estimator: Estimator = "binned",
    given: Any = None,
    within: np.ndarray | None = None,
    **options: Any,
) -> float:
    """I(A; B), or I(A; B | given), in bits.

    Args:
        a: (N,), or an image if ``within`` is given. For copula and ksg also (N, D), a variable of D numbers.
        b: The same samples of the other variable.
        estimator: ``"binned"``, ``"copula"`` or ``"ksg"``.
        given: The same samples of the variable that is known.
        within: Bool, of the images' shape: the voxels that count.
        options: Of ``binned_information``, ``copula_information`` or ``ksg_information``.

    Raises:
        GridMismatch: ``within`` has another shape than the variables.
        ImplausibleValues: Values are NaN or infinite, there is none, or ``within`` is no mask or holds no voxel.
        InputRejected: The variables have not as many samples, or an option is out of range.
    """
    one_of("estimator", estimator, ESTIMATORS)
    if within is not None:
        a, b = inside(a, within, "a"), inside(b, within, "b")
        given = None if given is None else inside(given, within, "given")
    behind: dict[str, Callable[..., float]] = {
        "binned": binned_information,
        "copula": copula_information,
        "ksg": ksg_information,
    }
    return float(behind[estimator](a, b, given=given, **options))


def binned_information(
    a: Any,
    b: Any,
    *,
    given: Any = None,
    bins: int | tuple[Bins, ...] = BINS,
    binning: Binning = "width",
    correction: Correction = "none",
    generator: np.random.Generator | None = None,
) -> float:
    """I(A; B), or I(A; B | given), in bits, of the joint histogram. Warns with ``FewSamples`` where it is mostly noise.

    Args:
        a: Any shape, finite.
        b: Of the same shape.
        given: Of the same shape.
        bins: How many of each variable; or the bins of a, of b, and of what is given.
        binning: ``"width"``, from the least value to the greatest, or ``"frequency"``; for a number of bins.
        correction: ``"miller-madow"`` or ``"quadratic"``: see ``bias``. A corrected value may be below 0.
        generator: Needed by ``"quadratic"``.

    Raises:
        ImplausibleValues: Values are NaN or infinite, or there is none.
        InputRejected: The shapes differ, or an option is out of range.
    """
    one_of("correction", correction, CORRECTIONS)
    counts = joint_table(a, b, given=given, bins=bins, binning=binning)
    statistic = table_information if given is None else conditional_table_information
    bias = float((information_bias if given is None else conditional_information_bias)(counts))
    warn_of_few(counts, bias, stacklevel=2)
    if correction == "quadratic":
        if generator is None:
            raise InputRejected("generator", expected="a generator", found="None", do="give one: samples are dealt")
        return float(extrapolated(counts, statistic, generator=generator))
    return float(statistic(counts)) - (bias if correction == "miller-madow" else 0.0)


def normalised_information(
    a: Any,
    b: Any,
    *,
    by: Norm,
    bins: int | tuple[Bins, ...] = BINS,
    binning: Binning = "width",
) -> float:
    """I(A; B) of the joint histogram over an entropy, in [0, 1]; nan where both variables are constant.

    Args:
        a: Any shape, finite.
        b: Of the same shape.
        by: ``"min"``, ``"mean"``, ``"max"``, ``"sqrt"`` or ``"joint"``: see ``normalised_table_information``.
        bins: As ``binned_information`` has it, and so ``binning``.

    Raises:
        ImplausibleValues: Values are NaN or infinite, or there is none.
        InputRejected: The shapes differ, or an option is out of range.
    """
    counts = joint_table(a, b, bins=bins, binning=binning)
    warn_of_few(counts, float(information_bias(counts)), stacklevel=2)
    return float(normalised_table_information(counts, by=by))


def joint_table(
    a: Any, b: Any, *, given: Any = None, bins: int | tuple[Bins, ...] = BINS, binning: Binning = "width"
) -> np.ndarray:
    """How many samples fall into each cell, int64: (A, B), or (C, A, B) with what is given first.

    Raises:
        ImplausibleValues: Values are NaN or infinite, or there is none.
        InputRejected: The shapes differ, or an option is out of range.
    """
    same_shape(a, b=b, given=given)
    variables = {"a": a, "b": b} if given is None else {"a": a, "b": b, "given": given}
    rows, fitted = binned_rows(variables, bins=bins, binning=binning)
    if given is None:
        return row_counts(rows[0], rows[1], bins=(fitted[0], fitted[1]))
    labels = [one.of(row) for one, row in zip(fitted, rows, strict=True)]
    return target_counts(labels[2], labels[0], labels[1], shape=(fitted[2].count, fitted[0].count, fitted[1].count))


def binned_rows(
    variables: dict[str, Any], *, bins: int | tuple[Bins, ...], binning: Binning
) -> tuple[list[np.ndarray], list[Bins]]:
    """The values of each variable, (N,), and its bins.

    Raises:
        ImplausibleValues: Values are NaN or infinite, or there is none.
        InputRejected: There are not as many ``Bins`` as variables, or an option is out of range.
    """
    one_of("binning", binning, BINNINGS)
    if isinstance(bins, tuple) and len(bins) != len(variables):
        raise InputRejected(
            "bins",
            expected=f"bins of {', '.join(variables)}",
            found=f"{len(bins)} of them",
            do="give those of each, or one number",
        )
    rows, fitted = [], []
    for place, (name, values) in enumerate(variables.items()):
        row, low, high = row_and_range(values, name)
        rows.append(row)
        if isinstance(bins, tuple):
            fitted.append(bins[place])
        elif binning == "frequency":
            fitted.append(equal_frequency(row, bins=bins, name=name))
        else:
            fitted.append(spanning(low, high, bins=bins, name=name))
    return rows, fitted


def inside(values: Any, within: np.ndarray, name: str) -> np.ndarray:
    """The values of the voxels of a region, (N,), or (N, D) if each voxel has D numbers.

    Raises:
        GridMismatch: The region has another shape.
        ImplausibleValues: It is no mask, or holds no voxel.
    """
    image = np.asarray(values)
    if within.dtype != bool or not within.any():
        found = "no voxel" if within.dtype == bool else f"{within.dtype}"
        raise ImplausibleValues(
            "within", expected="a boolean mask of at least one voxel", found=found, do="choose another region"
        )
    if image.shape[: within.ndim] != within.shape:
        raise GridMismatch(
            "within",
            expected=f"the shape of {name}, {image.shape}",
            found=f"{within.shape}",
            do="bring the mask and the images onto one grid",
        )
    return image[within]
