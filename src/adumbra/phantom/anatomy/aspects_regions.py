"""The ASPECTS and PC-ASPECTS regions in MNI152 space, drawn by rules on what the package has.

The sources are the nuclei of the phantom, the tissue maps of the template, and the atlas of what the arteries supply.
The definitions are those of Barber et al. (2000) and Puetz et al. (2008); the borders between the regions are not
published as coordinates, and those below are the project's own:

- C, L and the thalamus are the ellipsoids of ``nuclei``; L is putamen and pallidum.
- IC is the white matter between L and C or the thalamus: the distances to both sum up to at most ``_CAPSULE_MM``.
- I is the grey matter inside the circular sulcus, as it appears from the side, next to the Sylvian fissure.
- M1 to M6 are the rest of the territory of the cortical branches of the MCA. M1 to M3 lie at or below ``LEVEL_MM``, the
  upper end of the lentiform nucleus, and M4 to M6 above. The front of M2 passes in front of the temporal pole; its back
  runs outwards and backwards from the posterior end of the insula. M5 continues the front upwards, and reaches 8 mm
  further back, because the Sylvian fissure rises backwards.
- The PCA region is the rest of the territory of the PCA in the cerebrum, without the diencephalon.
- Pons and midbrain are divided by planes. The cerebellum is what lies behind them and below the tentorium, without the
  medulla, which has no point.
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import Delaunay

from adumbra.core.atlas.aspects import REGIONS
from adumbra.core.atlas.template import interpolate_all, template
from adumbra.core.atlas.vessels import ARTERIES, SIDES, on_side, supply_atlas
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import cites
from adumbra.core.types import Labels, Mask, Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.nuclei import nucleus_fractions

LEVEL_MM = 17.0
"""MNI152 z that divides the ganglionic from the supraganglionic level."""
_STEP = 2  # Voxels of the template along the side of a voxel of the atlas.
_LEAST_TISSUE = 127.0  # Grey plus white matter, of 255, from which a voxel is tissue.
_CAPSULE_MM = 12.0
_CAPSULE_Z_MM = (-6.0, 19.0)
# The circular sulcus around the insula, MNI152 y and z in mm, as it appears on T1 of the template at x = 36 to 40 mm.
_INSULA_YZ_MM = ((-24, 13), (-15, 17), (0, 17), (15, 14), (27, 7), (27, -3), (18, -13), (6, -18), (-3, -12), (-20, 5))
_INSULA_MM = 10.0  # Depth of the insular ribbon from the Sylvian fissure.
_SUPPLY = {
    "MCA": ("M1", "M2 superior", "M2 inferior", "M3 frontal", "M3 central", "M3 parietal", "M3 temporal"),
    "MCA perforators": ("M1 perforators",),
    "ACA": ("A1", "A2", "A3", "A3 callosomarginal"),
    "AChA": ("ICA", "AChA"),
    "PCA": ("P1", "P2", "P3", "P3 temporal"),
}
_Place = tuple[np.ndarray, np.ndarray, np.ndarray]


@cites("Barber2000", "Puetz2008")
def aspects_regions() -> tuple[Labels, Grid]:
    """The region of each voxel, (X, Y, Z) int16, an index of ``core.atlas.aspects.REGIONS``, and the grid at 2 mm."""
    grid, mni_mm, grey, white = _template_at_step()
    tissue = grey + white > _LEAST_TISSUE
    place = (np.abs(mni_mm[0]), mni_mm[1], mni_mm[2])
    deep = _deep_regions(grid, mni_mm, grey, white)
    deep["I"] = _insula(place, grey, deep["L"])
    deep |= _brainstem(place, tissue)
    labels = np.zeros(grid.shape, dtype=np.int16)
    for name, region in deep.items():
        labels[region & (labels == 0)] = REGIONS.index(name)
    for name, region in _territories(place, mni_mm, tissue).items():
        labels[region & (labels == 0)] = REGIONS.index(name)
    middle = grid.shape[0] // 2  # The plane x = 0 of the template, which is symmetric up to rounding.
    labels[:middle] = labels[middle + 1 :][::-1]
    return labels, grid


def _template_at_step() -> tuple[Grid, np.ndarray, np.ndarray, np.ndarray]:
    """The grid of the atlas, its coordinates, and the grey and white matter on it, 0 to 255."""
    t = template()
    part = (slice(None, None, _STEP),) * 3
    grey, white = t.grey[part].astype(np.float32), t.white[part].astype(np.float32)
    affine = t.affine.copy()
    affine[:3, :3] *= _STEP
    x, y, z = grey.shape
    grid = Grid((x, y, z), affine)
    mni_mm = grid.world_mm(np.indices(grid.shape).reshape(3, -1).T).T.reshape(3, *grid.shape).astype(np.float32)
    return grid, mni_mm, grey, white


def _deep_regions(grid: Grid, mni_mm: np.ndarray, grey: np.ndarray, white: np.ndarray) -> dict[str, Mask]:
    """C, L, IC and the thalamus."""
    none = np.zeros(grid.shape, np.float32)
    one = np.ones_like(none)  # The nuclei are whole, whatever the tissue maps of the template say.
    head = Head(grid, mni_mm, one, none, none, none, none, none, none, none, folding=1.0, age=0.0)
    nuclei = {name: fraction >= 0.5 for name, fraction in nucleus_fractions(head).items()}
    lentiform = nuclei["putamen"] | nuclei["pallidum"]
    medial = nuclei["caudate"] | nuclei["thalamus"]
    apart = sum(ndimage.distance_transform_edt(~part, sampling=grid.spacing_mm) for part in (lentiform, medial))
    low, high = _CAPSULE_Z_MM
    level = (mni_mm[2] >= low) & (mni_mm[2] <= high)
    capsule = (apart <= _CAPSULE_MM) & (white > grey) & level
    return {"C": nuclei["caudate"], "L": lentiform, "thalamus": nuclei["thalamus"], "IC": capsule}


def _insula(place: _Place, grey: np.ndarray, lentiform: Mask) -> Mask:
    """The cortex of the insula."""
    x, y, z = place
    sulcus = Delaunay(np.array(_INSULA_YZ_MM, dtype=np.float64))
    within = (sulcus.find_simplex(np.stack([y.ravel(), z.ravel()], axis=1)) >= 0).reshape(x.shape)
    fissure = _fissure_mm(y)
    return within & (x >= fissure - _INSULA_MM) & (x <= fissure) & (grey > 110.0) & ~lentiform


def _fissure_mm(y: np.ndarray) -> np.ndarray:
    """Distance of the Sylvian fissure over the insula from the midline; it is less at both ends."""
    return np.asarray(43.5 - 8.0 * (y / 26.0) ** 2)


def _brainstem(place: _Place, tissue: Mask) -> dict[str, Mask]:
    """Pons and midbrain, elliptic cylinders between planes that follow the tilt of the brainstem."""
    x, y, z = place
    # The upper plane passes through the mammillary bodies and the posterior commissure.
    below_thalamus = (z <= -12.0 + (-10.0 - y) * 12.0 / 14.0) & (z <= 0.0)
    above_pons = z >= -21.0 + (-16.0 - y) * 3.0 / 22.0
    midbrain = (x / 17.5) ** 2 + ((y + 25.0) / 14.0) ** 2 <= 1.0
    middle = -25.0 + 0.45 * np.minimum(z + 28.0, 0.0)
    pons = (x / 18.0) ** 2 + ((y - middle) / 14.0) ** 2 <= 1.0
    return {
        "midbrain": tissue & midbrain & below_thalamus & above_pons,
        "pons": tissue & pons & ~above_pons & (z >= -47.0),
    }


def _territories(place: _Place, mni_mm: np.ndarray, tissue: Mask) -> dict[str, Mask]:
    """The cerebellum, and M1 to M6 and the PCA region by what most probably supplies each place."""
    x, y, z = place
    medulla = (x < 11.0) & (y > -48.0) & (z < -47.0)
    below = tissue & (z < _tentorium_mm(x, y))
    regions = {"cerebellum": below & (y < -24.0) & ~medulla}
    supplied = np.stack([_supplied(mni_mm, arteries) for arteries in _SUPPLY.values()])
    largest = np.where(supplied.max(axis=0) > 0.0, supplied.argmax(axis=0), -1)
    cerebrum = tissue & ~regions["cerebellum"] & ~medulla
    diencephalon = (x < np.where(z > -12.0, 22.0, 16.0)) & (y > -36.0)
    regions["PCA"] = cerebrum & (largest == list(_SUPPLY).index("PCA")) & ~diencephalon & (y < -12.0)
    # What lies between the lentiform nucleus and the insula, the external and extreme capsule, has no point.
    capsules = (x < _fissure_mm(y) - _INSULA_MM) & (y > -24.0) & (y < 27.0) & (z > -18.0) & (z <= LEVEL_MM)
    mca = cerebrum & (largest == list(_SUPPLY).index("MCA")) & ~capsules
    upper = z > LEVEL_MM
    front = y > 10.0 + 14.0 * np.clip((-8.0 - z) / 12.0, 0.0, 1.0)
    back = y < np.where(upper, -32.0, -24.0) - 0.4 * np.maximum(x - 36.0, 0.0)
    thirds = (front, ~front & ~back, back)
    regions |= {f"M{n}": mca & third & ~upper for n, third in enumerate(thirds, start=1)}
    return regions | {f"M{n}": mca & third & upper for n, third in enumerate(thirds, start=4)}


def _tentorium_mm(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Height of the tentorium: it falls to the sides, at the front towards the petrous bone, and at the back."""
    side = -0.42 * np.maximum(x - 8.0, 0.0)
    front = -0.8 * np.maximum(y + 55.0, 0.0) * x / 38.0
    back = -0.65 * np.maximum(-60.0 - y, 0.0) * np.maximum(1.0 - x / 38.0, 0.0)
    return np.asarray(-6.0 + side + front + back)


def _supplied(mni_mm: np.ndarray, arteries: tuple[str, ...]) -> Volume:
    """The probability that one of the arteries of either side supplies a place."""
    atlas = supply_atlas()
    share = sum(atlas.shares[ARTERIES.index(on_side(name, side))] for name in arteries for side in SIDES)
    (values,) = interpolate_all([np.asarray(share, np.float32)], atlas.grid.affine, mni_mm.reshape(3, -1))
    return values.reshape(mni_mm.shape[1:])
