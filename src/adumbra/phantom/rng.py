"""Independent streams of randomness, one for each stage of a phantom: what one stage draws shifts no other's numbers.

The same seed is then the same patient at another scanner, or with a sequence less.
"""

import numpy as np


def stream(seed: int, stage: str) -> np.random.Generator:
    """The generator of one stage of the phantom of a seed."""
    return np.random.default_rng([seed, *stage.encode()])
