"""Simulated calibration cases whose error is known: heteroscedastic log-normal volumes, and some healthy heads."""

import numpy as np

from adumbra.core.case_features import FEATURE_THRESHOLDS, CaseFeatures
from adumbra.uncertainty.calibration.volume_fit import CalibrationCase
from adumbra.uncertainty.case_features import log_volume, volume_of

MEMBERS, DRAWS = 5, 20


def simulated_cases(n: int, generator: np.random.Generator, *, healthy: float = 0.08) -> list[CalibrationCase]:
    """Cases with a bias of -0.15 on the scale g, and an error whose size follows from the volume and the agreement.

    The error's standard deviation is 0.05 + 0.5 exp(-g / 2) times a difficulty of 0.4 to 2.5. Members differ by a
    constant 0.05, as networks that make one and the same error do, and their Dice with each other shows the difficulty.
    """
    cases = []
    for number in range(n):
        true_ml = 0.0 if generator.random() < healthy else float(np.exp(generator.uniform(np.log(0.3), np.log(250.0))))
        g, difficulty = float(log_volume(true_ml)), float(np.exp(generator.uniform(np.log(0.4), np.log(2.5))))
        error = (0.05 + 0.5 * np.exp(-g / 2.0)) * difficulty
        centre = g - 0.15 + error * generator.standard_normal()
        ml = volume_of(centre + 0.05 * generator.standard_normal(MEMBERS))
        draws = tuple(float(ml[draw % MEMBERS]) for draw in range(DRAWS))
        dice = float(np.clip(1.0 - 0.15 * difficulty * np.exp(0.1 * generator.standard_normal()), 0.0, 1.0))
        thresholds = tuple(float(volume_of(centre + 0.3 * (0.5 - t))) for t in FEATURE_THRESHOLDS)
        mean_ml = float(volume_of(centre))
        members = tuple(draw % MEMBERS for draw in range(DRAWS))
        own = CaseFeatures("lesion", draws, members, dice, mean_ml, mean_ml, thresholds, 1.0, 1400.0)
        quality = float(np.clip(1.0 - 0.25 * difficulty * abs(generator.standard_normal()), 0.0, 1.0))
        cases.append(CalibrationCase(f"case-{number}", own, true_ml, quality))
    return cases
