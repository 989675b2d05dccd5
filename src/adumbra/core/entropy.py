"""Entropy of a Bernoulli variable: the one definition that maps, guidance and metrics share."""

import numpy as np
from scipy.special import entr

LN2 = float(np.log(2.0))
UNCERTAIN_NATS = 0.3
"""Predictive entropy from which a voxel counts as uncertain in regions, reports and studies."""


def binary_entropy(probability: np.ndarray) -> np.ndarray:
    """H(p) = -p ln p - (1 - p) ln (1 - p) in nats, float64, any shape: 0 at probabilities 0 and 1, ln 2 at 0.5."""
    p = np.asarray(probability, dtype=np.float64)
    return entr(p) + entr(1.0 - p)
