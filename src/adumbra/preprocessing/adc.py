"""The ADC map, computed from diffusion-weighted signals.

Le Bihan et al., Radiology 1986 (161:401): the signal falls as S(b) = S(0) exp(-b ADC).
"""

import numpy as np

from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.references import cites
from adumbra.core.types import Mask
from adumbra.preprocessing.resampling import resample_scan

SAME_ACQUISITION_MM = 1.0
"""Diffusion images whose headers differ by less come from one acquisition, with rounded headers."""


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
    valid_mask = (b0.data > 0) & (dwi.data > 0) & _valid(b0) & _valid(dwi)
    ratio = np.divide(b0.data, dwi.data, out=np.ones_like(dwi.data), where=valid_mask)
    adc = (np.log(ratio) * (1000.0 / b_value)).astype(np.float32)
    return Scan(adc, dwi.grid, dwi.native, b_value=None, valid_mask=None if valid_mask.all() else valid_mask)


def with_adc(case: Case) -> Case:
    """The case with an ADC map computed from b0 and DWI, if it has these two and no ADC; otherwise the case itself.

    Raises:
        MissingInput: The b-value of the DWI is unknown.
    """
    if "adc" in case.scans or not {"b0", "dwi"} <= case.scans.keys():
        return case
    b0, dwi = case.scan("b0"), case.scan("dwi")
    if dwi.b_value is None:
        raise MissingInput(
            dwi.source or case.name,
            expected="the b-value of the DWI, to compute the ADC from b0 and DWI",
            found="no b-value and no ADC map in the files",
            do="give --b-value S_PER_MM2 (often 1000), or --adc FILE",
        )
    adc = adc_from(resample_scan(b0, dwi.grid), dwi, dwi.b_value)
    return case.updated(_note(b0, dwi, adc), scans={**case.scans, "adc": adc})


def _note(b0: Scan, dwi: Scan, adc: Scan) -> Conversion:
    apart = b0.grid.distance_mm(dwi.grid)
    undefined = 0.0 if adc.valid_mask is None else float(1.0 - adc.valid_mask.mean())
    return Conversion(
        "preprocessing.adc",
        "adc",
        f"ADC computed from b0 and DWI, ln(b0/DWI)/b at b = {dwi.b_value:g} s/mm²",
        {"b_value": dwi.b_value, "undefined_share": round(undefined, 4)},
        warning=apart > SAME_ACQUISITION_MM,
    )


def _valid(scan: Scan) -> Mask:
    return np.ones(scan.data.shape, dtype=bool) if scan.valid_mask is None else scan.valid_mask
