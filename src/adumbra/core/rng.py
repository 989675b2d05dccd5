"""Random generators: where draws get their own."""

from collections.abc import Iterator

import numpy as np


def children(generator: np.random.Generator, n: int) -> Iterator[np.random.Generator]:
    """Child generators, one for each draw.

    Args:
        generator: The parent. Later calls with the same parent continue where this one ends.
        n: Number of children.
    """
    return (generator.spawn(1)[0] for _ in range(n))
