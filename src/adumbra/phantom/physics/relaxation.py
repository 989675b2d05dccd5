"""Relaxation constants of tissues, blood and clots at 1.5 T and 3 T: T1, T2, T2*, proton density, ADC, with sources.

Blood's transverse rates grow with the square of its deoxygenation 1 − Y (Thulborn et al., Biochim Biophys Acta
1982;714:265) and depend on its haematocrit H. At 3 T, in 1/s:

R2  = −13.5 + 80.2·H − 75.9·H² + (3.4·H² − 0.5·H)·(1 − Y) + 247.4·H·(1 − H)·(1 − Y)²     (Lu 2012; a train of echoes)
R2* = 14.9·H + 14.7 + (302.1·H + 41.8)·(1 − Y)²       (Zhao 2007, as Cherukara et al., NeuroImage 2019;202, give them)
1/T1 = 0.52·H + 0.38 at Y = 0.92, and 0.83·H + 0.28 at Y = 0.69                                              (Lu 2004)

T2* is that of a voxel far from large vessels and air, whose effect is dephasing (``susceptibility.in_phase``). "About"
marks values without a single measurement; the other numbers are means of the cited papers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from adumbra.core.errors import InputRejected
from adumbra.core.references import cites

FIELDS_TESLA = (1.5, 3.0)


@cites("Peters2007", "Rooney2007", "Stanisz2005")
@dataclass(frozen=True)
class Relaxation:
    """The constants of a tissue at one field strength.

    Attributes:
        density: Proton density relative to water.
        t1_ms: Longitudinal relaxation time.
        t2_ms: Transverse relaxation time of a spin echo.
        t2_star_ms: Transverse relaxation time of a gradient echo; shorter than T2.
        adc: Apparent diffusion coefficient in 10⁻³ mm²/s.
    """

    density: float
    t1_ms: float
    t2_ms: float
    t2_star_ms: float
    adc: float


@cites("Lu2004", "Zhao2007", "Lu2012")
def blood(oxygenation: float, *, b0_tesla: float, haematocrit: float = 0.42) -> Relaxation:
    """The constants of stationary blood.

    At 1.5 T the deoxygenated part is a quarter of that at 3 T, since it grows with B0² (Thulborn 1982). The other
    constants are about T2 250 ms and T2* 150 ms at full oxygenation, and T1 1.4 s in arteries (1441 ms: Stanisz et al.
    2005).

    Args:
        oxygenation: Oxygenation of the haemoglobin, 0 to 1: about 0.98 in arteries and 0.65 in cerebral veins.
        b0_tesla: Field strength, 1.5 or 3.0.
        haematocrit: Measured from 0.38 to 0.46 for T1, and to about 0.6 for T2; beyond, the formulas are
            extrapolated.

    Raises:
        InputRejected: A fraction lies outside [0, 1], or the field strength is another one.
    """
    _check(oxygenation, haematocrit, b0_tesla)
    h, lacking = haematocrit, 1 - oxygenation
    arterial = float(np.clip((oxygenation - 0.69) / (0.92 - 0.69), 0, 1))  # limited to the measured range
    r1 = arterial * (0.52 * h + 0.38) + (1 - arterial) * (0.83 * h + 0.28)
    r2, r2_star = -13.5 + 80.2 * h - 75.9 * h**2, 14.9 * h + 14.7
    deoxygenated = (3.4 * h**2 - 0.5 * h) * lacking + 247.4 * h * (1 - h) * lacking**2
    deoxygenated_star = (302.1 * h + 41.8) * lacking**2
    if b0_tesla == 1.5:
        r1, r2, r2_star = 1.19 * r1, 4.0, 6.5  # about; see the docstring
        deoxygenated, deoxygenated_star = deoxygenated / 4, deoxygenated_star / 4
    t2_ms, t2_star_ms = 1000 / (r2 + deoxygenated), 1000 / (r2_star + deoxygenated_star)
    # 0.87 ml of water in a ml (Herscovitch & Raichle, J Cereb Blood Flow Metab 1985;5:65); the ADC is
    # approximate, and has no effect on moving blood, which loses its signal at any b.
    return Relaxation(0.87, 1000 / r1, t2_ms, t2_star_ms, 1.5)


def _check(oxygenation: float, haematocrit: float, b0_tesla: float) -> None:
    """Raises ``InputRejected`` for a fraction outside [0, 1] or an unknown field strength."""
    for name, fraction in (("oxygenation", oxygenation), ("haematocrit", haematocrit)):
        if not 0 <= fraction <= 1:
            raise InputRejected(
                name, expected="a fraction from 0 to 1", found=str(fraction), do="divide percents by 100"
            )
    if b0_tesla not in FIELDS_TESLA:
        raise InputRejected("b0_tesla", expected="1.5 or 3.0", found=str(b0_tesla), do="take the nearer one")


# Density, T1, T2, T2*, ADC. T2* of grey and white matter, caudate and putamen: Peters et al. 2007, at both fields.
_AT_3T: Mapping[str, Relaxation] = {
    # ``signal`` gives the sources of the first five.
    "grey": Relaxation(0.82, 1400.0, 92.0, 66.0, 0.83),
    "white": Relaxation(0.70, 860.0, 74.0, 53.2, 0.72),
    "csf": Relaxation(1.00, 4200.0, 1400.0, 500.0, 3.00),  # T2* about; longer than any echo time in use
    "vitreous": Relaxation(0.98, 4200.0, 1100.0, 500.0, 2.90),  # T2* about
    "soft": Relaxation(0.55, 700.0, 42.0, 25.0, 1.20),  # T2* about; muscle and fat together
    "arterial_blood": blood(0.98, b0_tesla=3.0),
    "venous_blood": blood(0.65, b0_tesla=3.0),
    # T2* of clots in patients is 18 to 60 ms, shortest where the vessel sign is (Bourcier et al., J Neuroradiol
    # 2017;44:241): its ends, about, for red and white. T1 and T2 about: both fall with every further red cell and with
    # fibrin (Invest Radiol 1992;27:341); days later methaemoglobin shortens T1 to a third, and is not modelled.
    "red_thrombus": Relaxation(0.72, 1100.0, 40.0, 18.0, 0.90),
    "white_thrombus": Relaxation(0.85, 1400.0, 90.0, 50.0, 1.20),
    # T1 of deep nuclei about, the putamen's by the power law of Rooney et al. 2007 (1.3 s); T2 and T2* of the pallidum:
    # Gelman et al., Radiology 1999;210:759 (R2 25.8, R2' 12.0 per s); of the rest about, by their iron.
    "caudate": Relaxation(0.82, 1350.0, 64.0, 41.3, 0.75),
    "putamen": Relaxation(0.82, 1300.0, 58.0, 31.5, 0.75),
    "pallidum": Relaxation(0.75, 1000.0, 38.8, 26.5, 0.78),
    "thalamus": Relaxation(0.78, 1150.0, 68.0, 48.0, 0.77),
    "substantia_nigra": Relaxation(0.75, 1100.0, 44.0, 27.0, 0.75),
    "red_nucleus": Relaxation(0.75, 1000.0, 46.0, 30.0, 0.75),
}
_AT_1_5T: Mapping[str, Relaxation] = {
    # T1 and T2 of grey and T2 of white matter: Stanisz et al. 2005 (1124, 95 and 72 ms); T1 of white matter by the
    # power law of Rooney et al. 2007 (0.68 s), which gives 0.88 s at 3 T, close to the table above.
    "grey": Relaxation(0.82, 1124.0, 95.0, 84.0, 0.83),
    "white": Relaxation(0.70, 680.0, 72.0, 66.2, 0.72),
    "csf": Relaxation(1.00, 4200.0, 1400.0, 800.0, 3.00),  # T1 of fluids does not depend on the field (Rooney 2007)
    "vitreous": Relaxation(0.98, 4200.0, 1100.0, 800.0, 2.90),
    "soft": Relaxation(0.55, 560.0, 45.0, 33.0, 1.20),  # about; muscle 1008 against 1412 ms at 3 T (Stanisz 2005)
    "arterial_blood": blood(0.98, b0_tesla=1.5),
    "venous_blood": blood(0.65, b0_tesla=1.5),
    "red_thrombus": Relaxation(0.72, 950.0, 65.0, 28.0, 0.90),  # about
    "white_thrombus": Relaxation(0.85, 1200.0, 100.0, 60.0, 1.20),  # about
    # T1 of deep nuclei: those at 3 T over 2^0.376, the law of Rooney et al. 2007. R2* is about linear in the field
    # (Peters 2007), which gives the last four.
    "caudate": Relaxation(0.82, 1040.0, 78.0, 58.8, 0.75),
    "putamen": Relaxation(0.82, 1000.0, 73.0, 55.5, 0.75),
    "pallidum": Relaxation(0.75, 770.0, 58.0, 43.0, 0.78),
    "thalamus": Relaxation(0.78, 885.0, 82.0, 66.0, 0.77),
    "substantia_nigra": Relaxation(0.75, 850.0, 62.0, 44.0, 0.75),
    "red_nucleus": Relaxation(0.75, 770.0, 64.0, 48.0, 0.75),
}
TISSUES: Mapping[float, Mapping[str, Relaxation]] = MappingProxyType(
    {1.5: MappingProxyType(_AT_1_5T), 3.0: MappingProxyType(_AT_3T)}
)
"""Constants by field strength in tesla and tissue; clots and nuclei have their names in ``susceptibility.CHI_PPM``."""
