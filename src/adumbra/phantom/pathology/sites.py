"""Sites of infarcts in MNI152 millimetres: where each kind lies, how it is elongated, what confines it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from adumbra.core.types import Mask

Point = tuple[float, float, float]
_MIDLINE_MM = 1.0  # how far an infarct reaches beyond the midline


def in_cerebellum(mni_mm: np.ndarray) -> Mask:
    """The voxels below the tentorium and behind the brainstem.

    Args:
        mni_mm: (3, X, Y, Z), template millimetres of each voxel.
    """
    x, y, z = mni_mm
    tentorium = np.float32(-16) + np.float32(0.2) * (y + 50) - np.float32(0.25) * np.maximum(np.abs(x) - 15, 0)
    return np.asarray((z < tentorium) & (y < -38) & (np.abs(x) < 56))


def in_brainstem(mni_mm: np.ndarray) -> Mask:
    """The voxels of midbrain, pons and medulla.

    Args:
        mni_mm: (3, X, Y, Z), template millimetres of each voxel.
    """
    x, y, z = mni_mm
    axis_y = np.float32(-24) + np.float32(0.35) * np.minimum(z + 30, 0)  # the medulla lies farther back
    wide = np.where(z > -20, np.float32(15), np.where(z > -44, np.float32(17), np.float32(9)))
    deep = np.where(z > -44, np.float32(15), np.float32(8))
    inside = (x / wide) ** 2 + ((y - axis_y) / deep) ** 2 < 1
    return np.asarray(inside & (z < -2) & (z > -70))


def in_cerebrum(mni_mm: np.ndarray) -> Mask:
    """The voxels above the tentorium.

    Args:
        mni_mm: (3, X, Y, Z), template millimetres of each voxel.
    """
    return ~(in_cerebellum(mni_mm) | in_brainstem(mni_mm))


@dataclass(frozen=True)
class Site:
    """A site on the right side; the left side mirrors x.

    Attributes:
        centre_mm: Mean position of the centre of an infarct.
        spread_mm: Standard deviations of that position.
        weight: Relative frequency among the sites of its kind.
        elongation: Relative lengths of the axes of an infarct along x, y, z.
        turned: Whether an infarct may have any direction; otherwise only a few degrees.
        most_ml: The largest infarct.
        region: Confines an infarct, given the template millimetres of voxels.
        unilateral: Whether the midline confines an infarct.
    """

    centre_mm: Point
    spread_mm: Point
    weight: float
    elongation: Point = (1.0, 1.0, 1.0)
    turned: bool = True
    most_ml: float = 320.0
    region: Callable[[np.ndarray], Mask] = in_cerebrum
    unilateral: bool = True

    def sample_centre(self, rng: np.random.Generator) -> np.ndarray:
        """Samples the centre of an infarct, (3,) in MNI mm; both sides are equally likely."""
        point = np.array(self.centre_mm) + rng.normal(0, 1, 3) * self.spread_mm
        point[0] = max(abs(point[0]), 0.5) * rng.choice([-1, 1])
        return point

    def sample_rotation(self, rng: np.random.Generator) -> np.ndarray:
        """Samples the rotation from template axes to those of an infarct, (3, 3)."""
        noise = rng.normal(size=(3, 3))
        q, r = np.linalg.qr(noise if self.turned else np.eye(3) + 0.15 * noise)
        return np.asarray(q * np.sign(np.diag(r)))

    def contains(self, mni_mm: np.ndarray, *, side: float) -> Mask:
        """The voxels that an infarct of this site may fill.

        Args:
            mni_mm: (3, X, Y, Z), template millimetres of each voxel.
            side: Sign of x of the infarct's centre.
        """
        inside = self.region(mni_mm)
        return inside & (mni_mm[0] * np.float32(side) > -_MIDLINE_MM) if self.unilateral else inside


_STEM, _CEREBELLUM = in_brainstem, in_cerebellum
SITES: Mapping[str, tuple[Site, ...]] = MappingProxyType({
    "territorial": (
        Site((42, -12, 16), (11, 24, 18), 0.66),
        Site((26, 0, 6), (5, 10, 9), 0.10, most_ml=40),
        Site((8, 28, 38), (4, 24, 16), 0.10, (0.5, 1.3, 1.0), turned=False, most_ml=80),
        Site((20, -70, 2), (9, 14, 9), 0.14, (0.8, 1.3, 0.8), turned=False, most_ml=90),
    ),
    "large": (
        Site((44, -14, 16), (5, 10, 8), 0.82, (0.75, 1.35, 1.05), turned=False),
        Site((34, 6, 22), (6, 8, 8), 0.08, (0.9, 1.35, 1.1), turned=False),  # with the anterior cerebral artery
        Site((22, -68, 4), (5, 8, 5), 0.10, (0.7, 1.5, 0.8), turned=False, most_ml=120),
    ),
    "cortical": (
        Site((50, -14, 24), (8, 30, 20), 0.8),
        Site((12, 20, 50), (6, 28, 12), 0.1),
        Site((22, -80, 8), (10, 10, 12), 0.1),
    ),
    "lacune": (
        Site((11, -18, 8), (3.5, 5, 4), 0.34, most_ml=2.5),  # thalamus
        Site((25, 2, 4), (4, 8, 5), 0.18, most_ml=2.5),  # basal ganglia
        Site((19, -10, 10), (3, 6, 5), 0.16, (0.8, 1.1, 1.4), most_ml=2.0),  # internal capsule
        Site((25, -12, 26), (4, 12, 5), 0.20, (0.8, 1.4, 1.0), most_ml=2.5),  # corona radiata
        Site((25, -10, 38), (5, 18, 5), 0.12, most_ml=2.5),  # centrum semiovale
    ),
    "brainstem": (
        # Paramedian pontine infarcts reach from the front towards the back along the midline.
        Site((4.5, -25, -32), (2, 3, 6), 0.55, (0.6, 1.4, 1.0), turned=False, region=_STEM),
        Site((9, -27, -32), (2.5, 4, 6), 0.15, region=_STEM, most_ml=1.2),
        Site((4, -38, -54), (2.5, 3, 5), 0.17, (0.8, 1.0, 1.2), turned=False, region=_STEM, most_ml=0.8),  # medulla
        Site((5, -21, -12), (3, 4, 4), 0.13, region=_STEM, most_ml=1.2),  # midbrain
    ),
    "cerebellum": (
        Site((18, -62, -46), (9, 9, 6), 0.50, (1.1, 1.2, 0.7), region=_CEREBELLUM, most_ml=45),  # inferior artery
        Site((22, -58, -26), (10, 9, 5), 0.33, (1.2, 1.1, 0.6), region=_CEREBELLUM, most_ml=35),  # superior artery
        Site((38, -54, -36), (5, 6, 5), 0.17, region=_CEREBELLUM, most_ml=12),  # anterior inferior artery
    ),
})  # fmt: skip
"""The sites of each kind of infarct."""
