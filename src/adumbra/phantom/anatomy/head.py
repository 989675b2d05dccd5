"""A head of its own for every seed: the MNI152 tissue maps, deformed, aged, and put into a skull.

x_MNI = A x + u(x): an affine map A and a smooth displacement u whose Jacobian stays positive (no folding), so that
tissue at x in the subject is the template's at x_MNI.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Volume
from adumbra.phantom.anatomy.random_fields import separable_sum, smooth_field
from adumbra.phantom.anatomy.template import block_around, looked_up, put_ellipsoid, slabs, template

SPACING_MM = 2.0
_NEWTON_STEPS = 10
_LATTICE_MM = 4.0  # fine enough for what only varies over centimetres: the deformation, the distance far from the brain
_NEAR_MM = 6.0  # the distance to the brain's surface within which the template's maps are looked up voxel by voxel
# MNI152 millimetres: the eyes, and where the air of the skull base distorts echo-planar images most.
EYES_MM = ((-32.0, 62.0, -38.0), (32.0, 62.0, -38.0))
AIR_MM = ((0.0, 66.0, -20.0), (0.0, 34.0, -42.0), (-54.0, -20.0, -38.0), (54.0, -20.0, -38.0))
# Air in the head, centre and radii: frontal sinus, sphenoid sinus, the cells of the mastoids, ethmoid cells, nasal
# cavity, pharynx, maxillary sinuses.
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
# Fluid that the template's outline leaves out: the suprasellar, interpeduncular and prepontine cisterns.
CISTERNS_MM = (((0.0, 0.0, -21.0), (15.0, 15.0, 8.0)), ((0.0, -16.0, -36.0), (14.0, 8.0, 22.0)))
# The outline of face and neck under the skull base, an ellipse about the body's axis: centre and half axes.
_FACE_MM = ((0.0, -8.0), (78.0, 94.0))
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
class Head:
    """One subject. Fractions lie in [0, 1] and sum to 1, bone among them.

    Attributes:
        grid: RAS+ grid of everything below.
        mni_mm: (3, X, Y, Z) template coordinates of each voxel.
        grey, white, csf: Tissue fractions, brain and cerebrospinal fluid.
        vitreous, soft: Fractions of the eyes' fluid, and of scalp, muscle and fat.
        air: Fraction of air: around the head, and in its sinuses.
        depth_mm: Signed distance to the brain's surface, negative inside.
        hyperintense: White-matter hyperintensity of age, in [0, 1].
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
        """Grey plus white matter: where a lesion can be."""
        return self.grey + self.white

    @property
    def bone(self) -> Volume:
        """What no other fraction takes: bone, and what between muscle and fat gives as little signal."""
        rest = 1 - self.grey
        for fraction in (self.white, self.csf, self.vitreous, self.soft, self.air):
            rest -= fraction
        return np.maximum(rest, 0, out=rest)


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
    """The smallest det(A + ∂u/∂x) on a lattice of about 4 mm: at or under 0 the map would fold."""
    step = max(1, round(_LATTICE_MM / spacing_mm))
    coarse = displacement[:, ::step, ::step, ::step]
    gradient = np.stack([np.stack(np.gradient(c, step * spacing_mm), axis=-1) for c in coarse], axis=-2)
    return float(np.linalg.det(gradient + linear).min())


def _deformed(rng: np.random.Generator, grid: Grid, age: float) -> tuple[np.ndarray, float]:
    """Template millimetres of each voxel, and the smallest Jacobian determinant of that map."""
    axes = [
        (grid.affine[i, 3] + grid.spacing_mm[i] * np.arange(n)).astype(np.float32) for i, n in enumerate(grid.shape)
    ]
    pose = _affine(rng).astype(np.float32)
    linear, spacing = pose[:, :3], grid.spacing_mm
    u = np.empty((3, *grid.shape), np.float32)
    for component in u:
        np.multiply(smooth_field(rng, grid.shape, spacing_mm=spacing, scale_mm=45), np.float32(3.5), out=component)
    for component in u:
        component += np.float32(1.3) * smooth_field(rng, grid.shape, spacing_mm=spacing, scale_mm=20)
    # Ventricles grow with age: the centre of the head is magnified, so the map draws towards it.
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
    # Where the last node lies beyond the grid, the last voxel stands in for it.
    i, j, k = np.ix_(*(np.minimum(v, n - 1) for v, n in zip(nodes, grid.shape, strict=True)))
    coarse = mni[:, i, j, k]
    (known,) = looked_up([t.depth_mm], t.affine, coarse.reshape(3, -1))
    apart = (np.abs(np.arange(n)[:, None] - v) / step for v, n in zip(nodes, grid.shape, strict=True))
    return separable_sum(known.reshape(coarse.shape[1:]), [np.maximum(1 - a, 0).astype(np.float32) for a in apart])


def _brain(rng: np.random.Generator, mni: np.ndarray, grid: Grid, age: float) -> tuple[Volume, Volume, Volume, Volume]:
    """Grey, white and cerebrospinal fluid fractions, and the depth in mm, sharpened and with sulci opened by age."""
    t = template()
    depth_mm = _depth(mni, grid)
    wander = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=7)
    tilt = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=9)
    made = [np.zeros(grid.shape, np.float32) for _ in range(3)]
    for slab in slabs(grid.shape):
        near = np.flatnonzero(depth_mm[slab] < _NEAR_MM)
        points = mni[:, slab].reshape(3, -1)[:, near]
        grey, white, t1, depth = looked_up((t.grey, t.white, t.t1, t.depth_mm), t.affine, points)
        grey, white = grey / 255, white / 255
        # T1 falls from about 150 in cortex towards 60 in fluid: sulci are where the averaged template is dim.
        level = np.float32(105 + 55 * age) + 14 * wander[slab].reshape(-1)[near]
        sulcus = np.clip((level - t1) / 45, 0, 1) * (depth < 2)
        sulcus = np.maximum(sulcus, np.clip(1 - grey - white, 0, 1) * (depth < 1))
        brain = np.clip(grey + white, 0, 1) * (1 - sulcus)
        # The template is an average of 152 brains; powers sharpen the borders back towards one brain's.
        g, w = grey**1.6 * np.exp(0.5 * tilt[slab].reshape(-1)[near]), white**1.6
        share = g / np.maximum(g + w, 1e-6)
        csf = np.where(depth < 1, 1 - brain, sulcus)  # inside there is nothing else
        for volume, values in zip((*made, depth_mm), (brain * share, brain * (1 - share), csf, depth), strict=True):
            volume[slab].reshape(-1)[near] = values
    grey, white, csf = made
    return grey, white, csf, depth_mm


def _envelope(
    rng: np.random.Generator, mni: np.ndarray, brain: tuple[Volume, Volume, Volume, Volume], grid: Grid, age: float
) -> tuple[Volume, Volume, Volume, Volume]:
    """All fluid, eyes' fluid, soft tissue and air around a ``brain`` as ``_brain`` gives it; bone is what remains."""
    texture = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=8)
    fluid_mm, bone_mm, soft_mm = 1 + 2.5 * age + rng.uniform(0, 1), rng.uniform(4, 8), rng.uniform(3, 9)
    (middle_x, middle_y), (half_x, half_y) = _FACE_MM
    made = [np.zeros(grid.shape, np.float32) for _ in range(4)]
    csf, vitreous, soft, air = made
    for cistern in CISTERNS_MM:
        put_ellipsoid(csf, mni, *cistern)
    for eye in EYES_MM:
        put_ellipsoid(vitreous, mni, eye, (12.0, 12.0, 12.0))
    for centre, radii in CAVITIES_MM:  # sinuses differ much in size
        put_ellipsoid(air, mni, centre, np.array(radii) * rng.uniform(0.6, 1.15))
    for slab in slabs(grid.shape):
        x, y, z = mni[:, slab]
        grey, white, sulci, depth = (b[slab] for b in brain)
        room = np.maximum(1 - grey - white, 0)
        fluid = np.maximum(np.clip(fluid_mm - depth, 0, 1) * (depth >= 0), csf[slab]) * room
        csf[slab] = np.maximum(sulci, fluid)
        room = np.maximum(room - csf[slab], 0)
        vitreous[slab] = np.minimum(vitreous[slab] * (depth > 2), room)  # the eye touches the fluid around the brain
        room -= vitreous[slab]
        # Under a plane from the brows to the nape face and neck are thick, as far as their own outline.
        below = np.clip((np.float32(0.14) * y - z - 36) / 10, 0, 1)
        lesion_shape = half_x * (1 - np.hypot((x - middle_x) / half_x, (y - middle_y) / half_y))
        scalp = fluid_mm + bone_mm + soft_mm - depth
        surface = np.maximum(scalp, np.minimum(scalp + 45 * below, lesion_shape))  # mm to the air, positive inside
        head = np.clip(surface, 0, 1)
        # Thin bone parts a sinus from the brain, and bone and skin from the air outside.
        sinus = air[slab] * np.clip(np.minimum(surface - 4, depth - fluid_mm - 1), 0, 1)
        flesh = np.clip(depth - fluid_mm - bone_mm + 2 * below, 0, 1) * np.clip(0.75 + 0.25 * texture[slab], 0, 1)
        soft[slab] = np.minimum(head * flesh * (1 - sinus), room)
        air[slab] = np.minimum(np.maximum(1 - head, sinus), room - soft[slab])
    return csf, vitreous, soft, air


def tracts(rng: np.random.Generator, subject: Head) -> Volume:
    """How much of each voxel is dense, crossing-free tract, each tract of its own strength: 0 to about 1.

    The trace averages three directions, and where fibres are dense it is a little brighter, with a lower ADC, than
    elsewhere in white matter: healthy, and easily taken for an infarct.
    """
    amount = np.zeros(subject.grid.shape, np.float32)
    for centre, radii in TRACTS_MM:
        middle = np.array(centre) + rng.normal(0, 1.5, 3) * (np.array(centre) != 0)
        radii_mm = np.array(radii) * rng.uniform(0.8, 1.3, 3)
        strength = np.float32(rng.beta(1.5, 1.5))
        for side in (1, -1) if centre[0] else (1,):
            at = middle * (side, 1, 1)
            block = block_around(subject.mni_mm, at - 2 * radii_mm, at + 2 * radii_mm)  # beyond two nothing is left
            if block is not None:
                points = zip(subject.mni_mm[(slice(None), *block)], at, radii_mm, strict=True)
                squared = sum(((x - np.float32(c)) / np.float32(r)) ** 2 for x, c, r in points)
                np.maximum(amount[block], strength * np.exp(-(squared**1.5)), out=amount[block])
    return amount * subject.white


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
    burden = 1.2 * age * rng.uniform(0, 1.3)
    made = np.zeros(grid.shape, np.float32)
    for slab in slabs(grid.shape):
        inside = np.flatnonzero(white[slab] > 0)
        x, y, z = mni[:, slab].reshape(3, -1)[:, inside]
        band = np.exp(-0.5 * (((np.abs(x) - 18) / 7) ** 2 + ((z - 18) / 14) ** 2)) * (np.abs(y) < 60)
        amount = np.clip(2.2 * band * burden + 0.7 * texture[slab].reshape(-1)[inside] - 1.6 + 0.8 * burden, 0, 1)
        made[slab].reshape(-1)[inside] = amount * white[slab].reshape(-1)[inside]
    return made


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
    grey, white, _, depth = brain = _brain(rng, mni, grid, age)
    csf, vitreous, soft, air = _envelope(rng, mni, brain, grid, age)
    hyper = _hyperintensities(rng, mni, white, grid, age)
    drawn = {"age": age, "bottom_mm": bottom, "top_mm": top, "smallest_jacobian": folding}
    return Head(grid, mni, grey, white, csf, vitreous, soft, air, depth, hyper, folding, age), drawn
