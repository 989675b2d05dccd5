"""The ADC map, computed from diffusion-weighted signals, and the agreement of b0, DWI, ADC and b-value.

Le Bihan et al., Radiology 1986 (161:401): the signal falls as S(b) = S(0) exp(-b ADC).

**What can be told from the values.** The median of a computed ADC is the true one times the true over the stated
b-value. Its sign tells b0 and DWI apart. On phantoms, a stated b-value that is three times the true one is always
refused, one of 1.75 times (1400 for 800) is warned of in 85 % of cases, and one of 1.25 times (1000 for 800) in 1 %:
it gives an ADC that other heads really have. With an ADC file it can be told, because ln(b0/DWI) rises with the ADC by
the true b-value. ``tests/preprocessing/test_adc_plausibility.py`` has the table.
"""

import numpy as np

from adumbra.core.adc_range import PLAUSIBLE_ADC, TYPICAL_ADC, usual_adc
from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.errors import GridMismatch, ImplausibleValues, MissingInput
from adumbra.core.references import cites
from adumbra.core.types import Mask
from adumbra.preprocessing.resampling import resample_scan

SAME_ACQUISITION_MM = 1.0
"""Diffusion images whose headers differ by less come from one acquisition, with rounded headers."""
_FITTED_ADC = (0.2, 2.2)  # Voxels of tissue; fluid has no signal at high b-values.
_FEWEST_VOXELS = 500  # Fewer voxels do not determine a b-value.
_EXCHANGED = -0.3  # Correlation of ln(b0/DWI) with the ADC below which b0 and DWI were exchanged.
_RELATED = 0.5  # Correlation from which the slope is a b-value.
_SAME_B = 1.2  # Factor by which the fitted b-value may differ from the stated one.


@cites("LeBihan1986")
def adc_from(b0: Scan, dwi: Scan, b_value: float) -> Scan:
    """The apparent diffusion coefficient, ln(b0/dwi)/b, in 10⁻³ mm²/s.

    Args:
        b0: The image without diffusion weighting, on the grid of ``dwi``.
        dwi: The diffusion-weighted image.
        b_value: b-value of ``dwi`` in s/mm².

    Returns:
        A scan on the grid of ``dwi``. Where either signal is not positive the ADC is undefined: 0, and not valid.

    Raises:
        GridMismatch: The two images lie on different grids.
    """
    if not b0.grid.coincides(dwi.grid):
        raise GridMismatch(
            f"{b0.source or 'b0'} and {dwi.source or 'dwi'}",
            expected="b0 and DWI on one grid",
            found=f"grids {b0.grid.distance_mm(dwi.grid):.3g} mm apart",
            do="resample one to the grid of the other first",
        )
    valid_mask = _positive(b0, dwi)
    ratio = np.divide(b0.data, dwi.data, out=np.ones_like(dwi.data), where=valid_mask)
    adc = (np.log(ratio) * (1000.0 / b_value)).astype(np.float32)
    return Scan(adc, dwi.grid, dwi.native, b_value=None, valid_mask=None if valid_mask.all() else valid_mask)


def with_adc(case: Case) -> Case:
    """The case with an ADC map computed from b0 and DWI, if it has these two and no ADC.

    A case with all three is checked instead: it is returned with a warning where they fit another b-value than the
    stated one. Any other case is returned as it is.

    Raises:
        MissingInput: The b-value of the DWI is unknown.
        ImplausibleValues: b0 and DWI are exchanged, or the b-value makes the ADC one that no head has.
    """
    if not {"b0", "dwi"} <= case.scans.keys():
        return case
    b0, dwi = case.scan("b0"), case.scan("dwi")
    if "adc" in case.scans:
        return _checked(case, b0, dwi, case.scan("adc"))
    if dwi.b_value is None:
        raise MissingInput(
            dwi.source or case.name,
            expected="the b-value of the DWI, to compute the ADC from b0 and DWI",
            found="no b-value and no ADC map in the files",
            do="give --b-value S_PER_MM2 as the protocol states it, or --adc FILE",
        )
    on_grid = resample_scan(b0, dwi.grid)
    adc = adc_from(on_grid, dwi, dwi.b_value)
    median = tissue_median(adc, on_grid, dwi)
    _require_plausible(median, b0, dwi)
    return case.updated(_note(b0, dwi, adc, median), scans={**case.scans, "adc": adc})


def tissue_median(adc: Scan, b0: Scan, dwi: Scan) -> float | None:
    """Median of a computed ADC over tissue, in 10⁻³ mm²/s, with its sign; None where no voxel has both signals.

    The median is that of the middle half of the image along each axis, which is brain with or without a skull around
    it. Voxels are weighted by the geometric mean of both signals: air and noise have little weight, and an exchange of
    b0 and DWI changes nothing but the sign.

    Args:
        adc: The computed ADC.
        b0: The image without diffusion weighting, on the same grid.
        dwi: The diffusion-weighted image, on the same grid.
    """
    valid = _positive(b0, dwi)
    box = _middle_half(valid)
    chosen = valid[box]
    if not chosen.any():
        return None
    weights = np.sqrt(b0.data[box][chosen].astype(np.float64) * dwi.data[box][chosen])
    return _weighted_median(adc.data[box][chosen].astype(np.float64), weights)


def fitted_b_value(b0: Scan, dwi: Scan, adc: Scan) -> tuple[float, float] | None:
    """The b-value that b0, DWI and ADC fit, and the correlation of ln(b0/DWI) with the ADC over tissue.

    The slope of ln(b0/DWI) = b ADC + constant does not depend on the scales of the two images.

    Args:
        b0: The image without diffusion weighting.
        dwi: The diffusion-weighted image, on the same grid.
        adc: The ADC map in 10⁻³ mm²/s, on the same grid.

    Returns:
        The slope in s/mm² and the correlation; None for fewer than 500 voxels of tissue, or a constant ADC.
    """
    valid = _positive(b0, dwi) & _valid(adc)
    valid &= (adc.data > _FITTED_ADC[0]) & (adc.data < _FITTED_ADC[1])
    box = _middle_half(valid)
    chosen = valid[box]
    if int(chosen.sum()) < _FEWEST_VOXELS:
        return None
    x = adc.data[box][chosen].astype(np.float64)
    y = np.log(b0.data[box][chosen].astype(np.float64) / dwi.data[box][chosen])
    weights = np.sqrt(b0.data[box][chosen].astype(np.float64) * dwi.data[box][chosen])
    x, y = x - np.average(x, weights=weights), y - np.average(y, weights=weights)
    xx, yy, xy = (float((weights * product).sum()) for product in (x * x, y * y, x * y))
    if min(xx, yy) <= 0.0:
        return None
    return 1000.0 * xy / xx, xy / float(np.sqrt(xx * yy))


def _checked(case: Case, b0: Scan, dwi: Scan, adc: Scan) -> Case:
    """The case with a warning where its b0, DWI and ADC fit another b-value; refused where b0 and DWI are exchanged."""
    if any(scan.grid.distance_mm(dwi.grid) > SAME_ACQUISITION_MM for scan in (b0, adc)):
        return case
    fit = fitted_b_value(resample_scan(b0, dwi.grid), dwi, resample_scan(adc, dwi.grid))
    if fit is None:
        return case
    b_value, correlation = fit
    if correlation < _EXCHANGED:
        raise ImplausibleValues(
            _names(b0, dwi),
            expected="a ratio of b0 to DWI that rises with the ADC",
            found=f"one that falls with it (correlation {correlation:.2f}), as if b0 and DWI were exchanged",
            do=_exchange(),
        )
    stated = dwi.b_value
    if stated is None or correlation < _RELATED or 1 / _SAME_B <= b_value / stated <= _SAME_B:
        return case
    what = f"b0, DWI and ADC fit b = {b_value:.0f} s/mm², but b = {stated:g} s/mm² is stated"
    values = {"b_value": stated, "fitted_b_value": round(b_value, 1), "correlation": round(correlation, 4)}
    return case.updated(Conversion("preprocessing.adc", "dwi", what, values, warning=True))


def _require_plausible(median: float | None, b0: Scan, dwi: Scan) -> None:
    low, high = PLAUSIBLE_ADC
    if median is None or low <= median <= high:
        return
    do = _exchange()
    if median > 0:
        do = f"check the b-value: {_suggested(median, dwi)} s/mm² would give {TYPICAL_ADC:g}; state it with --b-value"
    raise ImplausibleValues(
        _names(b0, dwi),
        expected=f"an ADC from b0 and DWI whose median over tissue is {low:g} to {high:g}·10⁻³ mm²/s",
        found=f"{median:.3g}·10⁻³ mm²/s with b = {dwi.b_value:g} s/mm²",
        do=do,
    )


def _names(b0: Scan, dwi: Scan) -> str:
    return f"{b0.source or 'b0'} (b0) and {dwi.source or 'dwi'} (dwi)"


def _exchange() -> str:
    return (
        "give the image without diffusion weighting as b0 and the weighted one as dwi; correct a .bval in wrong order"
    )


def _suggested(median: float, dwi: Scan) -> int:
    """The b-value at which the median would be that of a healthy head, rounded to 10 s/mm²."""
    assert dwi.b_value is not None  # The caller has computed an ADC with it.
    return round(dwi.b_value * median / TYPICAL_ADC / 10) * 10


def _note(b0: Scan, dwi: Scan, adc: Scan, median: float | None) -> Conversion:
    apart = b0.grid.distance_mm(dwi.grid)
    undefined = 0.0 if adc.valid_mask is None else float(1.0 - adc.valid_mask.mean())
    what = f"ADC computed from b0 and DWI, ln(b0/DWI)/b at b = {dwi.b_value:g} s/mm²"
    values: dict[str, object] = {"b_value": dwi.b_value, "undefined_share": round(undefined, 4)}
    low, high = usual_adc(dwi.b_value)
    unusual = median is not None and not low <= median <= high
    if median is not None:
        values["median"] = round(median, 4)
    if median is not None and unusual:
        what += (
            f"; its median over tissue is {median:.2f}·10⁻³ mm²/s, outside the usual {low:g} to"
            f" {high:g} (b = {_suggested(median, dwi)} s/mm² would give {TYPICAL_ADC:g}): check the b-value"
        )
    return Conversion("preprocessing.adc", "adc", what, values, warning=apart > SAME_ACQUISITION_MM or unusual)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    shares = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(shares, 0.5 * shares[-1])])


def _middle_half(mask: Mask) -> tuple[slice, ...]:
    """The middle half of the box around a mask, along each axis; the whole box where an axis is short."""
    box = []
    for axis in range(3):
        along = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        start, stop = (int(along[0]), int(along[-1]) + 1) if along.size else (0, 0)
        quarter = (stop - start) // 4
        box.append(slice(start + quarter, stop - quarter))
    return tuple(box)


def _positive(b0: Scan, dwi: Scan) -> Mask:
    return (b0.data > 0) & (dwi.data > 0) & _valid(b0) & _valid(dwi)


def _valid(scan: Scan) -> Mask:
    return np.ones(scan.data.shape, dtype=bool) if scan.valid_mask is None else scan.valid_mask
