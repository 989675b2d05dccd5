"""Shape of the infarct, and the effect of its age on the tissue.

Shape: the level set {x : r(x) < 1 + noise} of a distorted ellipsoid in one arterial territory, a shower of emboli along
cortex and border zones, a lacune, or a real lesion mask carried from MNI space into the subject by the deformation.

Age: the apparent diffusion coefficient falls within minutes to 0.5–0.8 of normal, stays there for about four days and
returns to normal by day 7–10, while T2 rises from about the sixth hour on. A subacute lesion is therefore bright on DWI
with an ADC that is nearly normal (Schlaug et al., Neurology 1997;49:113; Lansberg et al., AJNR 2001;22:637).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.random_fields import smooth_field
from adumbra.phantom.anatomy.template import interpolate

# A block of values, and its position on the grid of the head.
Piece = tuple[np.ndarray, tuple[slice, slice, slice]]
Pattern = Literal[
    "none", "territorial", "shower", "lacune", "lesion-mask", "large", "cortical", "brainstem", "cerebellum"
]
# Centres of infarcts on the right side in MNI mm, with their standard deviations and probability; the left side
# mirrors x.
TERRITORIES: dict[str, tuple[tuple[float, float, float], tuple[float, float, float], float]] = {
    "MCA": ((42, -12, 16), (11, 24, 18), 0.66),
    "MCA deep": ((26, 0, 6), (5, 10, 9), 0.10),
    "ACA": ((8, 28, 38), (4, 24, 16), 0.06),
    "PCA": ((20, -70, 2), (9, 14, 9), 0.08),
    "cerebellum": ((26, -62, -38), (11, 11, 7), 0.07),
    "brainstem": ((4, -26, -30), (3, 4, 10), 0.03),
}


@dataclass(frozen=True, eq=False)
class LesionShape:
    """The mask of a real lesion in MNI space.

    Attributes:
        name: Name of the lesion, such as that of its file.
        volume: (X, Y, Z), binary.
        affine: (4, 4), voxel index to MNI mm.
    """

    name: str
    volume: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True)
class Stage:
    """The age of an infarct, and its effect on the tissue as factors on the normal constants.

    Attributes:
        hours: Time since onset in hours.
        adc_factor: Factor on the ADC.
        t2_factor: Factor on T2.
        t1_factor: Factor on T1.
    """

    hours: float
    adc_factor: float
    t2_factor: float
    t1_factor: float


def sample_stage(rng: np.random.Generator) -> Stage:
    """Samples a time since onset, from 0.5 h to 14 days, and the factors of ADC, T2 and T1 at that time.

    Args:
        rng: Source of every random choice.
    """
    hours = float(np.exp(rng.uniform(np.log(0.5), np.log(336))))
    kind = rng.random()
    if kind < 0.25:  # most examinations are emergencies
        hours = float(rng.uniform(1, 24))
    elif kind < 0.50:  # others precede discharge, when the ADC is nearly or fully normal again
        hours = float(rng.uniform(110, 336))
    depressed = rng.uniform(0.50, 0.80)  # relative to about 0.78; infarct cores have 0.4 to 0.62·10⁻³ mm²/s
    recovery = np.clip((hours - 80) / (190 - 80), 0, 1) ** 1.3
    adc = depressed + recovery * (rng.uniform(0.86, 1.08) - depressed)
    adc += (1 - adc) * 0.5 * np.exp(-hours / 0.5)  # still decreasing in the first minutes
    rise = 1 - np.exp(-max(hours - 3.0, 0) / 30)
    t2 = 1 + rise * rng.uniform(0.2, 1.1) + recovery * rng.uniform(0.2, 0.7)
    return Stage(hours, float(adc), float(t2), float(1 + 0.35 * rise))


def _sample_centre(rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """Samples a territory and a point in it in MNI mm; both sides are equally likely."""
    names = list(TERRITORIES)
    weights = np.array([TERRITORIES[n][2] for n in names])
    name = names[rng.choice(len(names), p=weights / weights.sum())]
    centre, spread, _ = TERRITORIES[name]
    point = np.array(centre) + rng.normal(0, 1, 3) * spread
    point[0] = abs(point[0]) * rng.choice([-1, 1])
    return name, point


def _sample_rotation(rng: np.random.Generator) -> np.ndarray:
    """Samples a uniformly random rotation, by QR decomposition of a normal matrix, (3, 3)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.diag(r))


def _block_near(head: Head, centre_mm: np.ndarray, reach_mm: float) -> tuple[slice, slice, slice] | None:
    """The block of voxels within ``reach_mm`` of a template point; None where it lies outside the grid of the head."""
    coarse = head.mni_mm[:, ::3, ::3, ::3] - centre_mm.reshape(3, 1, 1, 1).astype(np.float32)
    near = np.argwhere((np.abs(coarse) < reach_mm + 6).all(axis=0))
    if not len(near):
        return None
    low, high = 3 * near.min(axis=0), 3 * near.max(axis=0) + 3
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def _sample_blob(
    rng: np.random.Generator, head: Head, centre_mm: np.ndarray, volume_ml: float, *, roughness: float, edge_mm: float
) -> Piece | None:
    """Samples a distorted ellipsoid of about ``volume_ml`` with a soft edge, confined to its side of the midline."""
    radius = (volume_ml * 1000 * 0.75 / np.pi) ** (1 / 3)
    window = _block_near(head, centre_mm, 2.2 * radius + 4)
    if window is None:
        return None
    axes = np.exp(rng.normal(0, 0.28, 3))
    axes *= radius / np.prod(axes) ** (1 / 3)
    local = head.mni_mm[(slice(None), *window)] - centre_mm.reshape(3, 1, 1, 1).astype(np.float32)
    turned = np.tensordot((_sample_rotation(rng) / axes[:, None]).astype(np.float32), local, axes=1)
    distance = np.sqrt((turned**2).sum(axis=0))
    shape, spacing = distance.shape, head.grid.spacing_mm
    noise = smooth_field(rng, shape, spacing_mm=spacing, scale_mm=max(0.55 * radius, 3.0))
    noise += 0.5 * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=max(0.25 * radius, 3.0))
    amount = np.clip((1 + roughness * noise - distance) * radius / edge_mm + 0.5, 0, 1)
    if radius > 6:  # a large infarct does not cross the falx
        amount *= np.sign(centre_mm[0]) * head.mni_mm[(0, *window)] > -1.0
    return np.asarray(amount, np.float32), window


def _add_piece(amount: Volume, piece: Piece | None) -> None:
    """Raises ``amount`` to the values of a piece, in place."""
    if piece is not None:
        blob, window = piece
        np.maximum(amount[window], blob, out=amount[window])


def _add_emboli(rng: np.random.Generator, head: Head, amount: Volume) -> None:
    """Adds 3 to 40 embolic infarcts of 8 to 1500 mm³ around one to four centres, mostly in and near cortex."""
    anchors = [_sample_centre(rng)[1] for _ in range(rng.choice([1, 2, 4], p=[0.6, 0.3, 0.1]))]
    count = int(np.exp(rng.uniform(np.log(3), np.log(40))))
    typical = np.exp(rng.uniform(np.log(0.03), np.log(0.30)))
    candidates = np.argwhere(head.tissue > 0.7)
    for _ in range(count):
        anchor = anchors[rng.integers(len(anchors))]
        spots = candidates[rng.integers(len(candidates), size=400)]
        points = head.mni_mm[(slice(None), *spots.T)]
        offset = ((points - anchor[:, None]) ** 2).sum(axis=0)
        cortical = head.depth_mm[tuple(spots.T)] > -10
        weight = np.exp(-offset / (2 * 24.0**2)) * np.where(cortical, 1.0, 0.35) + 1e-9
        spot = points[:, rng.choice(len(spots), p=weight / weight.sum())]
        volume = np.clip(np.exp(rng.normal(np.log(typical), 0.9)), 0.012, 1.5)
        _add_piece(amount, _sample_blob(rng, head, spot, volume, roughness=0.25, edge_mm=1.6))


def _carry_lesion_mask(rng: np.random.Generator, head: Head, lesion_shape: LesionShape) -> Volume:
    """A real lesion in the subject's space, mirrored in half of the cases, moved by some millimetres and rescaled."""
    mirror = np.array([rng.choice([-1.0, 1.0]), 1, 1])
    scale, shift = np.exp(rng.normal(0, 0.12)), rng.normal(0, [2, 5, 4])
    affine, volume = lesion_shape.affine, lesion_shape.volume
    centre = affine[:3, :3] @ np.argwhere(volume > 0).mean(axis=0) + affine[:3, 3]
    goal = (centre * mirror + shift).reshape(3, 1, 1, 1).astype(np.float32)
    points = ((head.mni_mm - goal) / np.float32(scale)) * mirror.reshape(3, 1, 1, 1).astype(np.float32)
    points = points + centre.reshape(3, 1, 1, 1).astype(np.float32)
    return interpolate(volume.astype(np.float32), affine, points.astype(np.float32))


def _sample_shape(rng: np.random.Generator, head: Head, pattern: Pattern, lesion_shape: LesionShape | None) -> Volume:
    """Samples the infarcted fraction of each voxel, before it is confined to tissue."""
    amount = np.zeros(head.grid.shape, np.float32)
    if pattern == "lesion-mask" and lesion_shape is not None:
        return _carry_lesion_mask(rng, head, lesion_shape)
    if pattern == "shower":
        _add_emboli(rng, head, amount)
    if pattern == "lacune":
        centre = np.array([rng.choice([-1, 1]) * rng.uniform(12, 32), rng.uniform(-35, 25), rng.uniform(-8, 34)])
        _add_piece(
            amount, _sample_blob(rng, head, centre, np.exp(rng.normal(np.log(0.5), 0.7)), roughness=0.15, edge_mm=2.0)
        )
    if pattern == "territorial":
        name, centre = _sample_centre(rng)
        most = 3.0 if name == "brainstem" else 320.0
        volume = float(np.clip(np.exp(rng.normal(np.log(18), 1.4)), 0.5, most))
        _add_piece(amount, _sample_blob(rng, head, centre, volume, roughness=0.35, edge_mm=rng.uniform(2, 5)))
        for _ in range(rng.poisson(1.2)):  # fragments beside the main infarct
            near = centre + rng.normal(0, 14, 3)
            small = float(np.exp(rng.normal(np.log(0.3), 1.0)))
            _add_piece(amount, _sample_blob(rng, head, near, small, roughness=0.3, edge_mm=2.0))
    return amount


def sample_pattern(
    rng: np.random.Generator, *, probabilities: Mapping[Pattern, float], lesion_shape: LesionShape | None
) -> Pattern:
    """Samples the infarct pattern; half of the infarcts take a real lesion shape where one is given.

    Args:
        rng: Source of every random choice.
        probabilities: Probability of each pattern.
        lesion_shape: A real lesion in MNI space.
    """
    if lesion_shape is not None and rng.random() < 0.5:
        return "lesion-mask"
    kinds = list(probabilities)
    return kinds[rng.choice(len(kinds), p=[probabilities[k] for k in kinds])]


def sample_infarct(
    rng: np.random.Generator, head: Head, *, pattern: Pattern, lesion_shape: LesionShape | None = None
) -> Volume:
    """Samples an infarct of a given pattern.

    Args:
        rng: Source of every random choice.
        head: The subject's anatomy; voxels without tissue stay 0.
        pattern: The infarct pattern; ``"lesion-mask"`` needs ``lesion_shape``.
        lesion_shape: A real lesion in MNI space.

    Returns:
        (X, Y, Z), the infarcted fraction of each voxel's tissue in [0, 1], unevenly dense inside.
    """
    amount = _sample_shape(rng, head, pattern, lesion_shape) * (head.tissue > 0.02)
    mottle = smooth_field(rng, head.grid.shape, spacing_mm=head.grid.spacing_mm, scale_mm=7)
    mottled = ndimage.gaussian_filter(amount, 0.25) * np.clip(1 + rng.uniform(0, 0.22) * mottle, 0.6, 1)
    return np.clip(mottled, 0, 1).astype(np.float32)
