"""Sub-division of a tissue into clusters of similar place and intensity, without anatomical labels.

One intensity for each tissue is too uniform: real grey and white matter contain cortex, nuclei, tracts and gradients.
K-means divides the voxels of a tissue by some features: the T1-weighted template, the depth below the brain's surface,
the distance from the midline, and smooth random fields. Each case draws the features and the number of clusters.
Membership is soft, with weights that are proportional to exp(−d²/2τ²), so that clusters have no stepped borders.
"""

from dataclasses import dataclass

import numpy as np

from adumbra.core.references import cites
from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.random_fields import smooth_field
from adumbra.phantom.anatomy.template import interpolate_all, template

_LEAST_FRACTION = 0.02  # fraction of a tissue from which a voxel belongs to it
_FITTED = 2000  # voxels that the centres are fitted to
_ITERATIONS = 8


@dataclass(frozen=True, eq=False)
class Clusters:
    """Soft clusters of one tissue.

    Attributes:
        shape: Shape of the grid.
        inside: (N,), flat indices of the voxels of the tissue.
        weights: (N, K), membership of each voxel; the rows sum to 1.
    """

    shape: tuple[int, int, int]
    inside: np.ndarray
    weights: np.ndarray

    @property
    def count(self) -> int:
        """The number of clusters."""
        return int(self.weights.shape[1])

    def spread(self, values: np.ndarray, *, outside: float = 0.0) -> Volume:
        """A volume with the value of the cluster of each voxel, float32.

        Args:
            values: (K,), one value for each cluster.
            outside: The value outside the tissue.
        """
        volume = np.full(self.shape, np.float32(outside))
        volume.reshape(-1)[self.inside] = self.weights @ values.astype(np.float32)
        return volume


@cites("Zalevskyi2026")
def sample_clusters(rng: np.random.Generator, head: Head, tissue: Volume, *, count: int) -> Clusters:
    """Samples a sub-division of a tissue.

    Args:
        rng: Source of the features, the starting centres and the softness.
        head: The anatomy.
        tissue: (X, Y, Z), fraction of the tissue in each voxel.
        count: Number of clusters.

    Returns:
        The clusters; a single one where ``count`` is 1 or the tissue has fewer voxels than clusters.
    """
    inside = np.flatnonzero(tissue > _LEAST_FRACTION)
    if count == 1 or len(inside) < count:
        return Clusters(head.grid.shape, inside, np.ones((len(inside), 1), np.float32))
    features = _sample_features(rng, head, inside)
    centres = _k_means(rng, features, count)
    squared = _squared_distances(features, centres)
    softness = np.float32(rng.uniform(0.1, 0.6)) * squared.min(axis=1).mean()
    weights = np.exp(-(squared - squared.min(axis=1, keepdims=True)) / (2 * softness))
    return Clusters(head.grid.shape, inside, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


def _sample_features(rng: np.random.Generator, head: Head, inside: np.ndarray) -> np.ndarray:
    """Samples two to four standardised features of each voxel, (N, F)."""
    t = template()
    points = head.mni_mm.reshape(3, -1)[:, inside]
    (t1,) = interpolate_all([t.t1], t.affine, points)
    spacing, shape = head.grid.spacing_mm, head.grid.shape
    fields = [
        smooth_field(rng, shape, spacing_mm=spacing, scale_mm=rng.uniform(10, 40)).reshape(-1)[inside] for _ in range(2)
    ]
    candidates = [t1, head.depth_mm.reshape(-1)[inside], np.abs(points[0]), points[2], *fields]
    chosen = rng.permutation(len(candidates))[: rng.integers(2, 5)]
    features = np.stack([candidates[n] * np.float32(rng.uniform(0.5, 1.5)) / candidates[n].std() for n in chosen], 1)
    return np.asarray(features - features.mean(axis=0), np.float32)


def _k_means(rng: np.random.Generator, features: np.ndarray, count: int) -> np.ndarray:
    """The centres of Lloyd's algorithm on a sample of the voxels, (K, F)."""
    sample = features[rng.integers(len(features), size=_FITTED)]
    centres = sample[rng.choice(len(sample), size=count, replace=False)]
    for _ in range(_ITERATIONS):
        nearest = _squared_distances(sample, centres).argmin(axis=1)
        centres = np.stack([
            sample[nearest == k].mean(axis=0) if (nearest == k).any() else centres[k] for k in range(count)
        ])  # fmt: skip
    return centres


def _squared_distances(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distance of each voxel to each centre, (N, K)."""
    products = features @ centres.T
    squared = (features**2).sum(axis=1)[:, None] - 2 * products + (centres**2).sum(axis=1)
    return np.asarray(np.maximum(squared, 0), np.float32)
