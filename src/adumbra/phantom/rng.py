"""Independent random streams, one for each simulation step.

A step that consumes more random numbers does not change those of any other step. The same seed therefore gives the same
patient at another scanner, or with fewer sequences.
"""

import numpy as np


def stream(seed: int, step: str) -> np.random.Generator:
    """The random generator of one simulation step.

    Args:
        seed: Seed of the phantom.
        step: Name of the simulation step; other names give independent streams.
    """
    return np.random.default_rng([seed, *step.encode()])
