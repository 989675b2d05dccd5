"""Infarcts of unlimited shape for randomised examinations: grown by level sets, from a dot of two voxels to 300 ml.

Kinds: an infarct in a named artery's territory, a large infarct with uneven density, an infarct of the cortex, a shower
of emboli, a lacune, infarcts of brainstem and cerebellum, and a real lesion that is deformed, grown or shrunk. In a
large infarct the infarcted fraction may fall slowly from the core outwards, the cortical ribbon may be spared, or the
white matter below it.
"""

from collections.abc import Callable, Mapping

import numpy as np

from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.random_fields import smooth_field
from adumbra.phantom.anatomy.template import Block, block_around, interpolate
from adumbra.phantom.pathology import emboli
from adumbra.phantom.pathology.lesion import LesionShape, Pattern
from adumbra.phantom.pathology.level_set import filled, level_of_volume, sample_flow_mm, signed_distance_mm
from adumbra.phantom.pathology.sites import SITES, Site, in_cerebellum

_LEAST_ML = 0.016  # two voxels of 2 mm
_GREATEST_ML = 320.0
_DEEP_MM = 32.0  # depth below the surface at which grey matter is that of deep nuclei; the insula lies above
_MASK_SHARE = 0.5  # share of the infarcts that take a real shape where one is given
_OWN_SHAPE: tuple[Pattern, ...] = ("none", "brainstem", "cerebellum")  # keep their frequency beside real shapes


def sample_varied_pattern(
    rng: np.random.Generator, *, probabilities: Mapping[Pattern, float], lesion_shape: LesionShape | None
) -> Pattern:
    """Samples the infarct pattern; half of the supratentorial infarcts take a real lesion shape where one is given.

    Args:
        rng: Source of every random choice.
        probabilities: Probability of each pattern.
        lesion_shape: A real lesion in MNI space.
    """
    kinds = list(probabilities)
    pattern = kinds[rng.choice(len(kinds), p=[probabilities[k] for k in kinds])]
    is_real = lesion_shape is not None and pattern not in _OWN_SHAPE and rng.random() < _MASK_SHARE
    return "lesion-mask" if is_real else pattern


def sample_varied_infarct(
    rng: np.random.Generator, head: Head, *, pattern: Pattern, lesion_shape: LesionShape | None = None
) -> Volume:
    """Samples an infarct of a given pattern.

    Args:
        rng: Source of every random choice.
        head: The subject's anatomy; voxels without tissue stay 0.
        pattern: The infarct pattern; ``"lesion-mask"`` needs ``lesion_shape``.
        lesion_shape: A real lesion in MNI space.

    Returns:
        (X, Y, Z), the infarcted fraction of each voxel's tissue in [0, 1].
    """
    amount = np.zeros(head.grid.shape, np.float32)
    if pattern == "lesion-mask" and lesion_shape is not None:
        amount = _sample_deformed_mask(rng, head, lesion_shape)
    elif pattern in _SAMPLERS:
        _SAMPLERS[pattern](rng, head, amount)
    amount *= head.tissue > 0.02
    mottle = smooth_field(rng, head.grid.shape, spacing_mm=head.grid.spacing_mm, scale_mm=7)
    return amount * np.clip(1 + np.float32(rng.uniform(0, 0.22)) * mottle, 0.6, 1)


def _sample_deformed_mask(rng: np.random.Generator, head: Head, lesion_shape: LesionShape) -> Volume:
    """A real lesion, mirrored, moved, carried along a random flow, and grown or shrunk to another volume."""
    mirror = np.array([rng.choice([-1.0, 1.0]), 1, 1]).reshape(3, 1, 1, 1)
    scale, shift = np.exp(rng.normal(0, 0.12)), rng.normal(0, [2, 5, 4]).reshape(3, 1, 1, 1)
    affine = lesion_shape.affine
    places = np.argwhere(lesion_shape.volume > 0) @ affine[:3, :3].T + affine[:3, 3]
    centre = places.mean(axis=0).reshape(3, 1, 1, 1)
    goal, reach_mm = centre * mirror + shift, 30.0
    ends = (places - centre.reshape(3)) * mirror.reshape(3) * scale + goal.reshape(3)
    block = block_around(head.mni_mm, ends.min(axis=0) - reach_mm, ends.max(axis=0) + reach_mm)
    amount = np.zeros(head.grid.shape, np.float32)
    if block is None:
        return amount
    local = head.mni_mm[(slice(None), *block)]
    size_mm = float(np.cbrt(len(places) * abs(np.linalg.det(affine[:3, :3]))))
    points = (local - goal.astype(np.float32)) + _sample_flow(rng, head, local.shape, size_mm)
    points = points * (mirror / scale).astype(np.float32) + centre.astype(np.float32)
    carried = interpolate(lesion_shape.volume.astype(np.float32), affine, points.astype(np.float32))
    amount[block] = _sample_growth(rng, head, block, carried)
    return amount


def _sample_flow(rng: np.random.Generator, head: Head, shape: tuple[int, ...], size_mm: float) -> np.ndarray:
    """Samples the displacement of a flow at the scale of a lesion, (3, X, Y, Z) in mm."""
    scale_mm = float(np.clip(size_mm * rng.uniform(0.5, 1.2), 8, 45))
    reach_mm = float(rng.uniform(0.05, 0.35)) * scale_mm
    block = (shape[-3], shape[-2], shape[-1])
    return sample_flow_mm(rng, block, spacing_mm=head.grid.spacing_mm, scale_mm=scale_mm, reach_mm=reach_mm)


def _sample_growth(rng: np.random.Generator, head: Head, block: Block, carried: Volume) -> Volume:
    """Samples the growth of a carried lesion to another volume, by the level set of its distance; or no growth."""
    inside, room_ml = carried > 0.5, head.tissue[block] * np.float32(head.grid.voxel_ml)
    volume_ml = float(room_ml[inside].sum())
    if rng.random() < 0.15 or volume_ml < _LEAST_ML or inside.all():
        return carried
    spacing, phi = head.grid.spacing_mm, signed_distance_mm(inside, head.grid.spacing_mm)
    size_mm = float(np.cbrt(volume_ml * 1000))
    speed = smooth_field(rng, phi.shape, spacing_mm=spacing, scale_mm=max(0.4 * size_mm, 5.0))
    phi += np.float32(rng.uniform(0, 0.1) * min(size_mm, 40.0)) * speed
    goal_ml = float(np.clip(volume_ml * np.exp(rng.normal(0, 0.45)), _LEAST_ML, _GREATEST_ML))
    edge_mm = float(rng.uniform(1.0, 3.0)) if rng.random() < 0.7 else float(rng.uniform(3, max(4.0, 0.25 * size_mm)))
    return filled(phi, level=level_of_volume(phi, room_ml, goal_ml), edge_mm=edge_mm)


def _grow(
    rng: np.random.Generator, head: Head, amount: Volume, site: Site, centre_mm: np.ndarray, volume_ml: float,
    *, edge_mm: float, room: Volume | None = None,
) -> None:  # fmt: skip
    """Raises ``amount`` to a rough, flow-deformed ellipsoid with a given volume of tissue, or of ``room``, in place."""
    radius = (volume_ml * 750 / np.pi) ** (1 / 3)
    reach_mm = 2.5 * radius * max(site.elongation) / np.cbrt(np.prod(site.elongation)) + edge_mm + 6
    block = block_around(head.mni_mm, centre_mm - reach_mm, centre_mm + reach_mm)
    if block is None:
        return
    points = head.mni_mm[(slice(None), *block)]
    local = points - centre_mm.reshape(3, 1, 1, 1).astype(np.float32)
    local += _sample_flow(rng, head, local.shape, 2 * radius)
    axes = np.array(site.elongation) * np.exp(rng.normal(0, 0.2, 3))
    axes /= np.cbrt(np.prod(axes))
    turned = np.tensordot((site.sample_rotation(rng) / axes[:, None]).astype(np.float32), local, axes=1)
    phi, spacing = np.sqrt((turned**2).sum(axis=0)), head.grid.spacing_mm
    roughness = np.float32(rng.uniform(0.15, 0.55) * radius)
    for share, scale in ((1.0, 0.55), (0.5, 0.25)):
        noise = smooth_field(rng, phi.shape, spacing_mm=spacing, scale_mm=max(scale * radius, 2.5))
        phi -= np.float32(share) * roughness * noise
    # The shape fills the volume with tissue of its site, on its side of the midline.
    inside = head.tissue[block] * site.contains(points, side=float(np.sign(centre_mm[0])))
    counted = inside if room is None else inside * room[block]
    level = level_of_volume(phi, counted * np.float32(head.grid.voxel_ml), volume_ml)
    grown = filled(phi, level=level, edge_mm=edge_mm) * (inside > 0.02)
    np.maximum(amount[block], grown, out=amount[block])


def _sample_site(rng: np.random.Generator, kind: str) -> tuple[Site, np.ndarray]:
    """Samples a site of a kind and a point in it, in MNI mm; both sides are equally likely."""
    sites = SITES[kind]
    weights = np.array([s.weight for s in sites])
    site = sites[rng.choice(len(sites), p=weights / weights.sum())]
    return site, site.sample_centre(rng)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _add_territorial(rng: np.random.Generator, head: Head, amount: Volume) -> None:
    """Adds an infarct of 0.3 to 90 ml in an arterial territory, with fragments beside it."""
    site, centre = _sample_site(rng, "territorial")
    volume_ml = float(np.clip(np.exp(rng.normal(np.log(10), 1.4)), 0.3, min(90.0, site.most_ml)))
    _grow(rng, head, amount, site, centre, volume_ml, edge_mm=rng.uniform(1.5, 6))
    emboli.add_near(rng, head, amount, centre, count=int(rng.poisson(1.2)))


def _add_large(rng: np.random.Generator, head: Head, amount: Volume) -> None:
    """Adds an infarct of 60 to 300 ml, uneven, often with a rim that is only partly dead."""
    site, centre = _sample_site(rng, "large")
    volume_ml = min(_log_uniform(rng, 60, 300), site.most_ml)
    edge_mm = float(rng.uniform(8, 28) if rng.random() < 0.5 else rng.uniform(2, 8))
    _grow(rng, head, amount, site, centre, volume_ml, edge_mm=edge_mm)
    _thin_out(rng, head, amount)
    emboli.add_near(rng, head, amount, centre, count=int(rng.poisson(2.0)))


def _thin_out(rng: np.random.Generator, head: Head, amount: Volume) -> None:
    """Reduces the infarcted fraction unevenly, in place: by patches, in the cortical ribbon, or below it."""
    grid, kind = head.grid, rng.random()
    patches = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=rng.uniform(8, 18))
    amount *= np.clip(np.float32(1.1) + np.float32(rng.uniform(0.1, 0.5)) * patches, 0.25, 1)
    if kind > 0.6:
        return
    gate = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=25)
    ribbon = _cortical_ribbon(head)
    spared = ribbon if kind < 0.3 else 1 - ribbon
    amount *= 1 - np.float32(rng.uniform(0.4, 0.95)) * spared * np.clip(0.5 + gate, 0, 1)


def _cortical_ribbon(head: Head) -> Volume:
    """The fraction of cortex in each voxel: grey matter that is not deep, sharper than in the averaged template."""
    share = head.grey / np.maximum(head.tissue, np.float32(1e-3))
    return np.clip(1.8 * share - 0.4, 0, 1) * np.clip((head.depth_mm + np.float32(_DEEP_MM)) / 8, 0, 1)


def _add_cortical(rng: np.random.Generator, head: Head, amount: Volume) -> None:
    """Adds an infarct of one to 60 ml of the cortical ribbon, with little white matter below it."""
    (site, centre), ribbon = _sample_site(rng, "cortical"), _cortical_ribbon(head)
    _grow(rng, head, amount, site, centre, _log_uniform(rng, 1, 60), edge_mm=rng.uniform(1.5, 6), room=ribbon)
    amount *= np.maximum(ribbon, np.float32(rng.uniform(0.0, 0.25)))


def _add_lacune(rng: np.random.Generator, head: Head, amount: Volume) -> None:
    """Adds a small deep infarct of 0.03 to 2.5 ml in thalamus, basal ganglia, internal capsule or corona radiata."""
    site, centre = _sample_site(rng, "lacune")
    volume_ml = float(np.clip(np.exp(rng.normal(np.log(0.4), 0.9)), 0.03, 2.5))
    _grow(rng, head, amount, site, centre, volume_ml, edge_mm=rng.uniform(1, 2.5))


def _add_brainstem(rng: np.random.Generator, head: Head, amount: Volume) -> None:
    """Adds an infarct of 0.05 to 2 ml in pons, medulla or midbrain; a second one in some."""
    for _ in range(1 + (rng.random() < 0.12)):
        site, centre = _sample_site(rng, "brainstem")
        _grow(rng, head, amount, site, centre, min(_log_uniform(rng, 0.05, 2.0), site.most_ml),
              edge_mm=rng.uniform(1, 2.5))  # fmt: skip


def _add_cerebellum(rng: np.random.Generator, head: Head, amount: Volume) -> None:
    """Adds an infarct of 0.05 to 45 ml of a cerebellar artery, or dots in the cerebellar cortex."""
    site, centre = _sample_site(rng, "cerebellum")
    if rng.random() < 0.25:
        emboli.add_shower(rng, head, amount, count=int(rng.integers(1, 12)), within=in_cerebellum(head.mni_mm))
        return
    volume_ml = min(_log_uniform(rng, 0.05, 45), site.most_ml)
    _grow(rng, head, amount, site, centre, volume_ml, edge_mm=rng.uniform(1, 4))
    emboli.add_near(rng, head, amount, centre, count=int(rng.poisson(0.8)))


def _add_shower(rng: np.random.Generator, head: Head, amount: Volume) -> None:
    """Adds a shower of 2 to 60 emboli anywhere in the brain."""
    emboli.add_shower(rng, head, amount, count=round(_log_uniform(rng, 2, 60)))


_SAMPLERS: Mapping[Pattern, Callable[[np.random.Generator, Head, Volume], None]] = {
    "territorial": _add_territorial,
    "large": _add_large,
    "cortical": _add_cortical,
    "shower": _add_shower,
    "lacune": _add_lacune,
    "brainstem": _add_brainstem,
    "cerebellum": _add_cerebellum,
}
