"""Smooth random fields, the source of all gradual spatial variation in the phantom.

A field is a cubic B-spline on a lattice of independent normal numbers: f(x) = Σ_ijk n_ijk β(x/s−i) β(y/s−j) β(z/s−k)
(Unser 1999). It is twice differentiable, separable and therefore fast, and its scale is in millimetres.
"""

from collections.abc import Sequence

import numpy as np

from adumbra.core.types import Volume


def _spline_weights(count: int, step: float) -> np.ndarray:
    """Cubic B-spline weights, (count, nodes), of ``count`` samples at a distance of ``step`` lattice units."""
    position = np.arange(count) * step + 1.0
    nodes = int(np.ceil(position[-1])) + 3
    distance = np.abs(position[:, None] - np.arange(nodes)[None, :])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


def separable_sum(lattice: np.ndarray, weights: Sequence[np.ndarray]) -> Volume:
    """Σ_ijk lattice_ijk · wx_xi · wy_yj · wz_zk, float32 (X, Y, Z).

    The last and largest sum is one matrix product, which writes the volume once in memory order.

    Args:
        lattice: (I, J, K), values at the nodes.
        weights: Weights of the nodes along each axis, (X, I), (Y, J) and (Z, K).
    """
    wx, wy, wz = weights
    small = np.matmul(wy, lattice @ wz.T).reshape(lattice.shape[0], -1)
    return (wx @ small).reshape(len(wx), len(wy), len(wz))


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int, int], *, spacing_mm: tuple[float, float, float], scale_mm: float
) -> Volume:
    """Samples a random field with mean 0 and a standard deviation of about 1, (X, Y, Z).

    Args:
        rng: Source of the values at the nodes.
        shape: Shape of the field.
        spacing_mm: Spacing of its voxels.
        scale_mm: Length scale of the variation.
    """
    weights = [_spline_weights(n, h / scale_mm) for n, h in zip(shape, spacing_mm, strict=True)]
    lattice = rng.standard_normal([w.shape[1] for w in weights], dtype=np.float32)
    # Σβ² averaged over a cell is 151/315 per axis; division by its root, cubed, gives unit variance.
    return separable_sum(lattice / np.float32((151 / 315) ** 1.5), weights)
