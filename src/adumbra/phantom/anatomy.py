"""A head of its own for every seed: the MNI152 tissue maps, deformed, aged, and put into a skull.

x_MNI = A x + u(x): an affine map A and a smooth displacement u whose Jacobian stays positive (no folding), so that
tissue at x in the subject is the template's at x_MNI. Template: Fonov et al. 2011, the symmetric 2009a maps that
nilearn ships.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from adumbra.phantom.random_fields import smooth_field
from adumbra.shapes import Volume
from adumbra.space.grid import Grid

SPACING_MM = 2.0
_NEWTON_STEPS = 10
# MNI152 millimetres; the eyes, and the air that distorts echo-planar images.
EYES_MM = ((-32.0, 62.0, -38.0), (32.0, 62.0, -38.0))
AIR_MM = ((0.0, 66.0, -20.0), (0.0, 34.0, -42.0), (-54.0, -20.0, -38.0), (54.0, -20.0, -38.0))


# Tracts that are bright on DWI, MNI152 millimetres of the right side: centre and radii. Splenium, genu, internal
# capsule, corona radiata, sagittal stratum beside the atrium, middle cerebellar peduncle.
TRACTS_MM = (
    ((0.0, -38.0, 14.0), (15.0, 6.0, 6.0)),
    ((0.0, 28.0, 6.0), (13.0, 5.0, 6.0)),
    ((24.0, -14.0, 8.0), (4.0, 8.0, 9.0)),
    ((26.0, -20.0, 28.0), (5.0, 8.0, 12.0)),
    ((34.0, -46.0, 10.0), (4.0, 14.0, 8.0)),
    ((22.0, -48.0, -36.0), (6.0, 9.0, 7.0)),
)


@dataclass(frozen=True, eq=False)
class Template:
    """MNI152 maps at 1 mm: grey and white matter and T1 as 0–255, and the signed distance to the surface in mm."""

    grey: np.ndarray
    white: np.ndarray
    t1: np.ndarray
    depth_mm: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True, eq=False)
class Head:
    """One subject. Fractions lie in [0, 1] and sum to at most 1; what is missing is air or bone.

    Attributes:
        grid: RAS+ grid of everything below.
        mni_mm: (3, X, Y, Z) template coordinates of each voxel.
        grey, white, csf: Tissue fractions, brain and cerebrospinal fluid.
        vitreous, soft: Fractions of the eyes' fluid, and of scalp, muscle and fat.
        depth_mm: Signed distance to the brain's surface, negative inside.
        hyperintense: White-matter hyperintensity of age, in [0, 1].
        folding: The smallest Jacobian determinant of the deformation; positive.
    """

    grid: Grid
    mni_mm: np.ndarray
    grey: Volume
    white: Volume
    csf: Volume
    vitreous: Volume
    soft: Volume
    depth_mm: Volume
    hyperintense: Volume
    folding: float

    @property
    def tissue(self) -> Volume:
        """Grey plus white matter: where a lesion can be."""
        return self.grey + self.white


@cache
def template() -> Template:
    """The MNI152 symmetric 2009a maps that nilearn ships, read once per process."""
    import nilearn.datasets

    folder = Path(nilearn.datasets.__file__).parent / "data"
    stem = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
    images = [nib.Nifti1Image.from_filename(folder / stem.format(kind)) for kind in ("gm", "wm", "t1")]
    grey, white, t1 = (np.asarray(image.dataobj) for image in images)
    inside = ndimage.binary_fill_holes(t1[::2, ::2, ::2] > 40)
    depth = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    depth_mm = ndimage.zoom(np.float32(2.0 * depth), 2, order=1)[tuple(slice(n) for n in t1.shape)]
    pad = [(0, n - m) for n, m in zip(t1.shape, depth_mm.shape, strict=True)]
    return Template(grey, white, t1, np.pad(depth_mm, pad, mode="edge"), np.asarray(images[0].affine, np.float64))


def sampled(volume: np.ndarray, affine: np.ndarray, points_mm: np.ndarray) -> Volume:
    """Linear interpolation of a template volume at template millimetres (3, X, Y, Z); 0 outside."""
    inverse = np.linalg.inv(affine).astype(np.float32)
    index = np.tensordot(inverse[:3, :3], points_mm, axes=1) + inverse[:3, 3].reshape(3, 1, 1, 1)
    return ndimage.map_coordinates(volume, index, order=1, output=np.float32, mode="constant")


def _affine(rng: np.random.Generator) -> np.ndarray:
    """A plausible head pose and size: some degrees, millimetres and per cent; MNI152 brains are larger than most."""
    pitch, roll, yaw = np.radians(rng.normal(0, [6, 3, 3]))
    cx, sx, cy, sy, cz, sz = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll), np.cos(yaw), np.sin(yaw)
    rotation = (
        np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    )
    matrix = rotation @ np.diag(np.exp(rng.normal(0.07, 0.05, 3))) + np.triu(rng.normal(0, 0.02, (3, 3)), 1)
    return np.c_[matrix, rng.normal(0, [2, 4, 4])]


def _smallest_jacobian(displacement: np.ndarray, linear: np.ndarray, spacing_mm: float) -> float:
    """The smallest det(A + ∂u/∂x) over every second voxel: at or under 0 the map would fold."""
    coarse = displacement[:, ::2, ::2, ::2]
    gradient = np.stack([np.stack(np.gradient(c, 2 * spacing_mm), axis=-1) for c in coarse], axis=-2)
    return float(np.linalg.det(gradient + linear).min())


def _deformed(rng: np.random.Generator, grid: Grid, age: float) -> tuple[np.ndarray, float]:
    """Template millimetres of each voxel, and the smallest Jacobian determinant of that map."""
    axes = [grid.affine[i, 3] + grid.spacing_mm[i] * np.arange(n) for i, n in enumerate(grid.shape)]
    x = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
    pose = _affine(rng).astype(np.float32)
    spacing = grid.spacing_mm
    u = np.stack([3.5 * smooth_field(rng, grid.shape, spacing_mm=spacing, scale_mm=45) for _ in range(3)])
    u += np.stack([1.3 * smooth_field(rng, grid.shape, spacing_mm=spacing, scale_mm=20) for _ in range(3)])
    # Ventricles grow with age: the centre of the head is magnified, so the map draws towards it.
    centre = np.array([0, -12, 14], np.float32).reshape(3, 1, 1, 1)
    pull = np.exp(-0.5 * (((x - centre) / np.array([22, 34, 20], np.float32).reshape(3, 1, 1, 1)) ** 2).sum(axis=0))
    u -= np.float32(0.30 * age) * (x - centre) * pull
    linear = pose[:, :3]
    while (folding := _smallest_jacobian(u, linear, spacing[0])) < 0.25:
        u *= np.float32(0.8)
    mni = np.tensordot(linear, x, axes=1) + pose[:, 3].reshape(3, 1, 1, 1) + u
    return mni, folding


def _ball(points_mm: np.ndarray, centre_mm: tuple[float, float, float], radius_mm: float) -> Volume:
    """1 inside a ball, 0 outside, with an edge of 1.5 mm; evaluated at points (3, X, Y, Z)."""
    squared = sum((points_mm[i] - np.float32(c)) ** 2 for i, c in enumerate(centre_mm))
    return np.clip((radius_mm - np.sqrt(squared)) / 1.5 + 0.5, 0, 1).astype(np.float32)


def _brain(rng: np.random.Generator, mni: np.ndarray, grid: Grid, age: float) -> tuple[Volume, Volume, Volume, Volume]:
    """Grey, white and cerebrospinal fluid fractions, and the depth in mm, sharpened and with sulci opened by age."""
    t = template()
    grey, white, t1, depth = (sampled(v, t.affine, mni) for v in (t.grey, t.white, t.t1, t.depth_mm))
    depth += np.where((t1 == 0) & (depth < 1), np.float32(30), np.float32(0))  # outside the template's box
    grey, white = grey / 255, white / 255
    wander = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=7)
    # T1 falls from about 150 in cortex towards 60 in fluid: sulci are where the averaged template is dim.
    level = np.float32(105 + 55 * age) + 14 * wander
    csf = np.clip((level - t1) / 45, 0, 1) * (depth < 2)
    csf = np.maximum(csf, np.clip(1 - grey - white, 0, 1) * (depth < 1))
    # The template is an average of 152 brains; powers sharpen the borders back towards one brain's.
    tilt = np.exp(0.5 * smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=9))
    g, w = grey**1.6 * tilt, white**1.6
    share = g / np.maximum(g + w, 1e-6)
    brain = np.clip(grey + white, 0, 1) * (1 - csf)
    return brain * share, brain * (1 - share), csf * (depth < 2), depth


def _envelope(
    rng: np.random.Generator, mni: np.ndarray, depth: Volume, grid: Grid, age: float
) -> tuple[Volume, Volume, Volume]:
    """Subarachnoid fluid, eyes' fluid and soft tissue around the brain; bone and air are what remains."""
    texture = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=8)
    fluid_mm, bone_mm, soft_mm = 1 + 2.5 * age + rng.uniform(0, 1), rng.uniform(4, 8), rng.uniform(3, 9)
    below = np.clip((-38 - mni[2]) / 10, 0, 1)  # under the skull base the neck and face are thick
    outer = fluid_mm + bone_mm + soft_mm + 45 * below
    layer = np.clip(depth - fluid_mm - bone_mm + 2 * below, 0, 1) * np.clip(outer - depth, 0, 1)
    soft = layer * np.clip(0.75 + 0.25 * texture, 0, 1)
    fluid = np.clip(fluid_mm - depth, 0, 1) * (depth >= 0)
    vitreous = np.zeros_like(soft)
    for eye in EYES_MM:
        vitreous = np.maximum(vitreous, _ball(mni, eye, 12.0) * (depth > 2))
    for air in AIR_MM:
        soft = soft * (1 - _ball(mni, air, rng.uniform(7, 14)))
    return fluid.astype(np.float32), vitreous, (soft * (1 - vitreous)).astype(np.float32)


def tracts(rng: np.random.Generator, subject: Head) -> Volume:
    """How much of each voxel is dense, crossing-free tract, each tract of its own strength: 0 to about 1.

    The trace averages three directions, and where fibres are dense it is a little brighter, with a lower ADC, than
    elsewhere in white matter: healthy, and easily taken for an infarct.
    """
    amount = np.zeros(subject.grid.shape, np.float32)
    for centre, radii in TRACTS_MM:
        middle = np.array(centre) + rng.normal(0, 1.5, 3) * (np.array(centre) != 0)
        side = np.abs(subject.mni_mm[0]) if centre[0] else subject.mni_mm[0]
        offsets = (side - middle[0], subject.mni_mm[1] - middle[1], subject.mni_mm[2] - middle[2])
        squared = sum((o / np.float32(r * rng.uniform(0.8, 1.3))) ** 2 for o, r in zip(offsets, radii, strict=True))
        near = squared < 4  # beyond two radii nothing is left of it
        amount[near] = np.maximum(amount[near], np.float32(rng.beta(1.5, 1.5)) * np.exp(-(squared[near] ** 1.5)))
    return (amount * subject.white).astype(np.float32)


def in_subject(subject: Head, template_mm: np.ndarray) -> np.ndarray:
    """Template points (N, 3) in the subject's millimetres, (N, 3): the deformation backwards, to about 0.01 mm.

    Newton's steps with the affine part of the map, from where that part alone would put the points; beyond the grid the
    deformation goes on as at its border.
    """
    grid = subject.grid
    coarse = (slice(None, None, 4),) * 3
    index = np.stack(np.meshgrid(*(np.arange(n)[c] for n, c in zip(grid.shape, coarse, strict=True)), indexing="ij"))
    world = grid.world_mm(index.reshape(3, -1).T)
    known = subject.mni_mm[(slice(None), *coarse)].reshape(3, -1).T.astype(np.float64)
    backwards = np.linalg.lstsq(np.c_[known, np.ones(len(known))], world, rcond=None)[0]
    points = np.c_[template_mm, np.ones(len(template_mm))] @ backwards
    for _ in range(_NEWTON_STEPS):
        at = grid.index(points).T
        reached = [ndimage.map_coordinates(c, at, order=1, mode="nearest") for c in subject.mni_mm]
        inside = np.clip(at, 0, np.array(grid.shape)[:, None] - 1)
        beyond = grid.world_mm(at.T) - grid.world_mm(inside.T)  # there the map goes on with its affine part
        missing = template_mm - np.stack(reached, axis=1) - beyond @ np.linalg.inv(backwards[:3])
        points += missing @ backwards[:3]
    return points


def _hyperintensities(rng: np.random.Generator, mni: np.ndarray, white: Volume, grid: Grid, age: float) -> Volume:
    """Caps and bands around the ventricles and scattered spots in the deep white matter, more with age."""
    texture = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=7)
    band = np.exp(-0.5 * (((np.abs(mni[0]) - 18) / 7) ** 2 + ((mni[2] - 18) / 14) ** 2)) * (np.abs(mni[1]) < 60)
    burden = 1.2 * age * rng.uniform(0, 1.3)
    return (np.clip(2.2 * band * burden + 0.7 * texture - 1.6 + 0.8 * burden, 0, 1) * white).astype(np.float32)


def head(rng: np.random.Generator, *, spacing_mm: float = SPACING_MM) -> tuple[Head, dict[str, float]]:
    """A subject's head, and what was drawn for it (``age`` is 0 for a young and 1 for a very old brain).

    Args:
        rng: Source of everything random here; heads of another spacing are other heads.
        spacing_mm: Of the isotropic grid.
    """
    age = float(rng.beta(2.0, 1.6))
    bottom, top = float(rng.uniform(-74, -52)), float(rng.uniform(84, 98))
    if rng.random() < 0.12:  # a stack that begins in the brain
        bottom += float(rng.uniform(20, 60))
    origin = np.array([-94.0, -128.0, bottom])
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = origin
    across, along, up = (round(mm / spacing_mm) for mm in (190.0, 224.0, top - bottom))
    grid = Grid((across, along, up), affine)
    mni, folding = _deformed(rng, grid, age)
    grey, white, csf, depth = _brain(rng, mni, grid, age)
    fluid, vitreous, soft = _envelope(rng, mni, depth, grid, age)
    csf = np.clip(np.maximum(csf, fluid * (1 - grey - white)), 0, 1)
    vitreous = np.clip(vitreous, 0, 1 - grey - white - csf)  # where the eye touches the fluid around the brain
    soft = np.clip(soft, 0, 1 - grey - white - csf - vitreous)
    hyper = _hyperintensities(rng, mni, white, grid, age)
    drawn = {"age": age, "bottom_mm": bottom, "top_mm": top, "smallest_jacobian": folding}
    return Head(grid, mni, grey, white, csf, vitreous, soft, depth, hyper, folding), drawn
