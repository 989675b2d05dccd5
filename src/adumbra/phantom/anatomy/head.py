"""The anatomy of a simulated head: the MNI152 tissue maps, deformed, aged, and enclosed in a skull.

x_MNI = A x + u(x), with an affine map A and a smooth displacement u of positive Jacobian (no folding). The tissue at x
in the subject is that of the template at x_MNI.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Volume
from adumbra.phantom.anatomy.random_fields import separable_sum, smooth_field
from adumbra.phantom.anatomy.template import interpolate_all, put_ellipsoid, slabs, template

SPACING_MM = 2.0
_NEWTON_STEPS = 10
_LATTICE_MM = 4.0  # spacing for smooth quantities: the deformation, the distance far from the brain
_NEAR_MM = 6.0  # distance to the brain's surface within which the template is interpolated at every voxel
# MNI152 millimetres of the eyes, and of the air at the skull base that distorts echo-planar images most.
EYES_MM = ((-32.0, 62.0, -38.0), (32.0, 62.0, -38.0))
AIR_MM = ((0.0, 66.0, -20.0), (0.0, 34.0, -42.0), (-54.0, -20.0, -38.0), (54.0, -20.0, -38.0))
# Air in the head, centre and radii: frontal sinus, sphenoid sinus, mastoid cells, ethmoid cells, nasal cavity, pharynx,
# maxillary sinuses.
CAVITIES_MM = (
    ((0.0, 73.0, -22.0), (15.0, 8.0, 11.0)),
    ((0.0, 22.0, -41.0), (13.0, 12.0, 9.0)),
    ((-54.0, -28.0, -47.0), (9.0, 12.0, 13.0)),
    ((54.0, -28.0, -47.0), (9.0, 12.0, 13.0)),
    ((0.0, 50.0, -38.0), (12.0, 19.0, 10.0)),
    ((0.0, 56.0, -62.0), (8.0, 26.0, 15.0)),
    ((0.0, 8.0, -74.0), (11.0, 8.0, 24.0)),
    ((-30.0, 52.0, -66.0), (12.0, 15.0, 13.0)),
    ((30.0, 52.0, -66.0), (12.0, 15.0, 13.0)),
)
# Fluid outside the brain mask of the template: the suprasellar, interpeduncular and prepontine cisterns.
CISTERNS_MM = (((0.0, 0.0, -21.0), (15.0, 15.0, 8.0)), ((0.0, -16.0, -36.0), (14.0, 8.0, 22.0)))
# Cross-section of face and neck below the skull base, an ellipse in x and y: centre and half axes.
_FACE_MM = ((0.0, -8.0), (78.0, 94.0))


@dataclass(frozen=True, eq=False)
class Head:
    """The anatomy of one subject. All fractions, including bone, lie in [0, 1] and sum to 1.

    Attributes:
        grid: RAS+ grid of all volumes.
        mni_mm: (3, X, Y, Z) template coordinates of each voxel.
        grey: (X, Y, Z), fraction of grey matter.
        white: (X, Y, Z), fraction of white matter.
        csf: (X, Y, Z), fraction of cerebrospinal fluid.
        vitreous: (X, Y, Z), fraction of the vitreous body of the eyes.
        soft: (X, Y, Z), fraction of scalp, muscle and fat.
        air: (X, Y, Z), fraction of air, around the head and in its sinuses.
        depth_mm: (X, Y, Z), signed distance to the brain's surface in mm, negative inside.
        hyperintense: (X, Y, Z), white-matter hyperintensity of age, in [0, 1].
        folding: The smallest Jacobian determinant of the deformation; positive.
        age: 0 for a young and 1 for a very old brain.
    """

    grid: Grid
    mni_mm: np.ndarray
    grey: Volume
    white: Volume
    csf: Volume
    vitreous: Volume
    soft: Volume
    air: Volume
    depth_mm: Volume
    hyperintense: Volume
    folding: float
    age: float

    @property
    def tissue(self) -> Volume:
        """Grey plus white matter, the tissue that an infarct can affect."""
        return self.grey + self.white

    @property
    def bone(self) -> Volume:
        """The remaining fraction: bone, and soft tissue with as little signal."""
        rest = 1 - self.grey
        for fraction in (self.white, self.csf, self.vitreous, self.soft, self.air):
            rest -= fraction
        return np.maximum(rest, 0, out=rest)


def _sample_pose(rng: np.random.Generator) -> np.ndarray:
    """Samples head pose and size as an affine map, (3, 4); the MNI152 brain is larger than most."""
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
    """The smallest det(A + ∂u/∂x) on a lattice of about 4 mm; the map folds where it is not positive."""
    step = max(1, round(_LATTICE_MM / spacing_mm))
    coarse = displacement[:, ::step, ::step, ::step]
    gradient = np.stack([np.stack(np.gradient(c, step * spacing_mm), axis=-1) for c in coarse], axis=-2)
    return float(np.linalg.det(gradient + linear).min())


def _sample_deformation(rng: np.random.Generator, grid: Grid, age: float) -> tuple[np.ndarray, float]:
    """Samples the template millimetres of each voxel, (3, X, Y, Z), with the smallest Jacobian determinant."""
    axes = [
        (grid.affine[i, 3] + grid.spacing_mm[i] * np.arange(n)).astype(np.float32) for i, n in enumerate(grid.shape)
    ]
    pose = _sample_pose(rng).astype(np.float32)
    linear, spacing = pose[:, :3], grid.spacing_mm
    u = np.empty((3, *grid.shape), np.float32)
    for component in u:
        np.multiply(smooth_field(rng, grid.shape, spacing_mm=spacing, scale_mm=45), np.float32(3.5), out=component)
    for component in u:
        component += np.float32(1.3) * smooth_field(rng, grid.shape, spacing_mm=spacing, scale_mm=20)
    # Ventricles enlarge with age: the map contracts towards the centre of the head, which magnifies it.
    offsets = [x - np.float32(c) for x, c in zip(axes, (0, -12, 14), strict=True)]
    pulls = [np.exp(-0.5 * (d / np.float32(width)) ** 2) for d, width in zip(offsets, (22, 34, 20), strict=True)]
    for c, component in enumerate(u):
        x, y, z = (d * p if a == c else p for a, (d, p) in enumerate(zip(offsets, pulls, strict=True)))
        component -= (np.float32(0.30 * age) * x[:, None] * y)[:, :, None] * z
    while (folding := _smallest_jacobian(u, linear, spacing[0])) < 0.25:
        u *= np.float32(0.8)
    for component, (along_x, along_y, along_z, shift) in zip(u, pose, strict=True):
        component += (along_x * axes[0][:, None] + along_y * axes[1] + shift)[:, :, None]
        component += along_z * axes[2]
    return u, folding


def _depth(mni: np.ndarray, grid: Grid) -> Volume:
    """Distance to the brain's surface in mm, linear between the points of a lattice of about 4 mm."""
    t = template()
    step = max(1, round(_LATTICE_MM / grid.spacing_mm[0]))
    nodes = [np.arange(0, n + step - 1, step) for n in grid.shape]
    # A last node beyond the grid takes the value of the last voxel.
    i, j, k = np.ix_(*(np.minimum(v, n - 1) for v, n in zip(nodes, grid.shape, strict=True)))
    coarse = mni[:, i, j, k]
    (depth,) = interpolate_all([t.depth_mm], t.affine, coarse.reshape(3, -1))
    apart = (np.abs(np.arange(n)[:, None] - v) / step for v, n in zip(nodes, grid.shape, strict=True))
    return separable_sum(depth.reshape(coarse.shape[1:]), [np.maximum(1 - a, 0).astype(np.float32) for a in apart])


def _sample_brain(
    rng: np.random.Generator, mni: np.ndarray, grid: Grid, age: float
) -> tuple[Volume, Volume, Volume, Volume]:
    """Samples the fractions of grey matter, white matter and fluid, with sulci widened by age, and the depth in mm."""
    t = template()
    depth_mm = _depth(mni, grid)
    level_field = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=7)
    grey_field = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=9)
    grey_volume, white_volume, csf_volume = fractions = [np.zeros(grid.shape, np.float32) for _ in range(3)]
    for slab in slabs(grid.shape):
        near = np.flatnonzero(depth_mm[slab] < _NEAR_MM)
        points = mni[:, slab].reshape(3, -1)[:, near]
        grey, white, t1, depth = interpolate_all((t.grey, t.white, t.t1, t.depth_mm), t.affine, points)
        grey, white = grey / 255, white / 255
        # T1 falls from about 150 in cortex to 60 in fluid; sulci are dark in the averaged template.
        level = np.float32(105 + 55 * age) + 14 * level_field[slab].reshape(-1)[near]
        sulcus = np.clip((level - t1) / 45, 0, 1) * (depth < 2)
        sulcus = np.maximum(sulcus, np.clip(1 - grey - white, 0, 1) * (depth < 1))
        brain = np.clip(grey + white, 0, 1) * (1 - sulcus)
        # The template is an average of 152 brains; powers restore the sharpness of borders in a single brain.
        g, w = grey**1.6 * np.exp(0.5 * grey_field[slab].reshape(-1)[near]), white**1.6
        share = g / np.maximum(g + w, 1e-6)
        csf = np.where(depth < 1, 1 - brain, sulcus)  # all of the remainder inside the brain
        for volume, values in zip(
            (*fractions, depth_mm), (brain * share, brain * (1 - share), csf, depth), strict=True
        ):
            volume[slab].reshape(-1)[near] = values
    return grey_volume, white_volume, csf_volume, depth_mm


def _sample_envelope(
    rng: np.random.Generator, mni: np.ndarray, brain: tuple[Volume, Volume, Volume, Volume], grid: Grid, age: float
) -> tuple[Volume, Volume, Volume, Volume]:
    """Samples fluid, vitreous body, soft tissue and air around the brain; bone is the remainder."""
    texture = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=8)
    fluid_mm, bone_mm, soft_mm = 1 + 2.5 * age + rng.uniform(0, 1), rng.uniform(4, 8), rng.uniform(3, 9)
    (middle_x, middle_y), (half_x, half_y) = _FACE_MM
    csf, vitreous, soft, air = (np.zeros(grid.shape, np.float32) for _ in range(4))
    for cistern in CISTERNS_MM:
        put_ellipsoid(csf, mni, *cistern)
    for eye in EYES_MM:
        put_ellipsoid(vitreous, mni, eye, (12.0, 12.0, 12.0))
    for centre, radii in CAVITIES_MM:  # the size of sinuses varies widely
        put_ellipsoid(air, mni, centre, np.array(radii) * rng.uniform(0.6, 1.15))
    for slab in slabs(grid.shape):
        x, y, z = mni[:, slab]
        grey, white, sulci, depth = (b[slab] for b in brain)
        room = np.maximum(1 - grey - white, 0)
        fluid = np.maximum(np.clip(fluid_mm - depth, 0, 1) * (depth >= 0), csf[slab]) * room
        csf[slab] = np.maximum(sulci, fluid)
        room = np.maximum(room - csf[slab], 0)
        vitreous[slab] = np.minimum(vitreous[slab] * (depth > 2), room)  # outside the fluid around the brain
        room -= vitreous[slab]
        # Below a plane from the brows to the nape, face and neck extend to their own elliptic cross-section.
        below = np.clip((np.float32(0.14) * y - z - 36) / 10, 0, 1)
        face_mm = half_x * (1 - np.hypot((x - middle_x) / half_x, (y - middle_y) / half_y))
        scalp = fluid_mm + bone_mm + soft_mm - depth
        # Distance to the outer air in mm, positive inside.
        surface = np.maximum(scalp, np.minimum(scalp + 45 * below, face_mm))
        head = np.clip(surface, 0, 1)
        # Thin bone separates a sinus from the brain; bone and skin separate it from the outer air.
        sinus = air[slab] * np.clip(np.minimum(surface - 4, depth - fluid_mm - 1), 0, 1)
        flesh = np.clip(depth - fluid_mm - bone_mm + 2 * below, 0, 1) * np.clip(0.75 + 0.25 * texture[slab], 0, 1)
        soft[slab] = np.minimum(head * flesh * (1 - sinus), room)
        air[slab] = np.minimum(np.maximum(1 - head, sinus), room - soft[slab])
    return csf, vitreous, soft, air


def in_subject(subject: Head, template_mm: np.ndarray) -> np.ndarray:
    """Template points in millimetres of the subject, (N, 3): the inverse of the deformation, to about 0.01 mm.

    Newton's method with the affine part of the map as Jacobian, started from the inverse of the affine part. Beyond the
    grid the deformation is continued from its border.

    Args:
        subject: The subject's anatomy.
        template_mm: (N, 3), points in MNI152 millimetres.
    """
    grid = subject.grid
    coarse = (slice(None, None, 4),) * 3
    index = np.stack(np.meshgrid(*(np.arange(n)[c] for n, c in zip(grid.shape, coarse, strict=True)), indexing="ij"))
    world = grid.world_mm(index.reshape(3, -1).T)
    template_points = subject.mni_mm[(slice(None), *coarse)].reshape(3, -1).T.astype(np.float64)
    inverse_map = np.linalg.lstsq(np.c_[template_points, np.ones(len(template_points))], world, rcond=None)[0]
    points = np.c_[template_mm, np.ones(len(template_mm))] @ inverse_map
    for _ in range(_NEWTON_STEPS):
        at = grid.index(points).T
        reached = [ndimage.map_coordinates(c, at, order=1, mode="nearest") for c in subject.mni_mm]
        inside = np.clip(at, 0, np.array(grid.shape)[:, None] - 1)
        beyond = grid.world_mm(at.T) - grid.world_mm(inside.T)  # the map continues with its affine part
        missing = template_mm - np.stack(reached, axis=1) - beyond @ np.linalg.inv(inverse_map[:3])
        points += missing @ inverse_map[:3]
    return points


def _sample_hyperintensities(
    rng: np.random.Generator, mni: np.ndarray, white: Volume, grid: Grid, age: float
) -> Volume:
    """Samples caps and bands around the ventricles and spots in the deep white matter; all increase with age."""
    texture = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=7)
    burden = 1.2 * age * rng.uniform(0, 1.3)
    hyperintense = np.zeros(grid.shape, np.float32)
    for slab in slabs(grid.shape):
        inside = np.flatnonzero(white[slab] > 0)
        x, y, z = mni[:, slab].reshape(3, -1)[:, inside]
        band = np.exp(-0.5 * (((np.abs(x) - 18) / 7) ** 2 + ((z - 18) / 14) ** 2)) * (np.abs(y) < 60)
        amount = np.clip(2.2 * band * burden + 0.7 * texture[slab].reshape(-1)[inside] - 1.6 + 0.8 * burden, 0, 1)
        hyperintense[slab].reshape(-1)[inside] = amount * white[slab].reshape(-1)[inside]
    return hyperintense


def sample_head(
    rng: np.random.Generator, *, spacing_mm: float = SPACING_MM, cut: bool = True
) -> tuple[Head, dict[str, float]]:
    """Samples the head of a subject.

    Args:
        rng: Source of every random choice. Another spacing gives another head.
        spacing_mm: Spacing of the isotropic grid.
        cut: Whether one head in eight begins inside the brain, so that all sequences miss its base. Otherwise every
            head is whole, and the field of view of each sequence is planned on it.

    Returns:
        The head and its sampled parameters; ``age`` is 0 for a young and 1 for a very old brain.
    """
    age = float(rng.beta(2.0, 1.6))
    bottom, top = float(rng.uniform(-74, -52)), float(rng.uniform(84, 98))
    if rng.random() < 0.12:  # a stack that begins inside the brain
        missing_mm = float(rng.uniform(20, 60))  # consumed for a whole head too, which is otherwise the same
        bottom += missing_mm if cut else 0.0
    origin = np.array([-94.0, -128.0, bottom])
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = origin
    across, along, up = (round(mm / spacing_mm) for mm in (190.0, 224.0, top - bottom))
    grid = Grid((across, along, up), affine)
    mni, folding = _sample_deformation(rng, grid, age)
    grey, white, _, depth = brain = _sample_brain(rng, mni, grid, age)
    csf, vitreous, soft, air = _sample_envelope(rng, mni, brain, grid, age)
    hyper = _sample_hyperintensities(rng, mni, white, grid, age)
    parameters = {"age": age, "bottom_mm": bottom, "top_mm": top, "smallest_jacobian": folding}
    return Head(grid, mni, grey, white, csf, vitreous, soft, air, depth, hyper, folding, age), parameters
