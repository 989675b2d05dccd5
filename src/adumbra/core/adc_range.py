"""Ranges of the apparent diffusion coefficient (ADC) over a head, in 10⁻³ mm²/s.

Healthy brain has 0.7 to 0.9, an infarct down to 0.3, free water at body temperature 3.0 (Le Bihan et al., J Magn Reson
Imaging 13:534, 2001). Fluid beside the cortex and in wide ventricles raises the median, a large infarct lowers it. At
high b-values the decay is not exponential: the ADC falls by about b D² K / 6, with a diffusivity D of 0.8 and a
kurtosis K of 0.75 by 0.08 for each 1000 s/mm² (Jensen et al., Magn Reson Med 53:1432, 2005).
"""

PLAUSIBLE_ADC = (0.4, 2.0)
"""Range of the median over a head; outside it the values are not an ADC, or their unit or b-value is wrong."""
USUAL_ADC = (0.65, 1.4)
"""Range of the median in nearly all heads up to b = 1000 s/mm². Phantoms with b from 800 to 2500 have 0.75 to 1.24."""
TYPICAL_ADC = 0.8
"""Median of a healthy head, for the b-value that an error or a warning suggests."""
_FALL, _FROM_B = 0.08e-3, 1000.0


def usual_adc(b_value: float | None) -> tuple[float, float]:
    """The usual range of the median over a head for a b-value in s/mm²; None is a usual one."""
    low, high = USUAL_ADC
    return round(low - _FALL * max(0.0, (b_value or 0.0) - _FROM_B), 3), high
