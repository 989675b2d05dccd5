"""Patches sampled from cached cases. The patches of a step depend on its number only, not on earlier steps."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import safe_open

from adumbra.core.legacy import stored_name

_SMALL_ML = 1.6


@dataclass(frozen=True, eq=False)
class CachedCase:
    """The part of a cached case that stays in memory. Its volumes stay on disk.

    Attributes:
        path: The cache file.
        shape: Shape of its volumes.
        present: float32 (C,), 1 where a modality is present.
        sites: int16 (N, 3), voxels of the targets ordered by component.
        ends: int64 (K,), where the voxels of each component end in ``sites``.
        brain_sites: int16 (M, 3), brain voxels.
        guidance: File of the guidance maps, see ``training.crossfit``; None where there are none.
    """

    path: Path
    shape: tuple[int, int, int]
    present: np.ndarray
    sites: np.ndarray
    ends: np.ndarray
    brain_sites: np.ndarray
    guidance: Path | None = None

    @property
    def name(self) -> str:
        """Name of the case."""
        return self.path.stem


@dataclass(frozen=True, eq=False)
class Patches:
    """A batch of patches, all float32.

    Attributes:
        channels: (B, C, X, Y, Z) in network units.
        present: (B, C), 1 where a modality is present.
        labels: (B, T, X, Y, Z), 0 or 1.
        weights: (B, T, X, Y, Z), weights of the loss.
        brain: (B, 1, X, Y, Z), 0 or 1.
        guidance: (B, D, X, Y, Z), guidance maps in [0, 1]; D is 0 where there are none.
    """

    channels: np.ndarray
    present: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    brain: np.ndarray
    guidance: np.ndarray


def open_cached_case(path: Path) -> CachedCase:
    """A cached case; its volumes are not read."""
    with safe_open(path, framework="np") as file:
        x, y, z = file.get_slice("brain").get_shape()
        small = (file.get_tensor(name) for name in ("present", "sites", "ends", "brain_sites"))
        return CachedCase(path, (x, y, z), *small)


def sample_patch(case: CachedCase, rng: np.random.Generator, *, side: int, spacing_mm: float) -> Patches:
    """Samples one patch of a case, as a batch of one.

    30 % of the patches lie anywhere in the brain, the others around a component of a target. Half of the latter are
    around a component of less than 1.6 ml, where the case has one. Components are sampled uniformly, whatever their
    size.

    Args:
        case: The case.
        rng: Source of all randomness.
        side: Side of the patch, in voxels.
        spacing_mm: Spacing of the case's isotropic grid, in millimetres.
    """
    centre = _sample_centre(case, rng, small_voxels=_SMALL_ML * 1000.0 / spacing_mm**3)
    jitter = rng.integers(-(side // 4), side // 4 + 1, 3)
    low = np.clip(centre + jitter - side // 2, 0, np.asarray(case.shape) - side)
    x, y, z = (slice(int(a), int(a) + side) for a in low)
    with safe_open(case.path, framework="np") as file:
        volumes = [file.get_slice(name)[:, x, y, z][None] for name in ("channels", "labels", "weights")]
        volumes.append(file.get_slice("brain")[x, y, z][None, None])
    channels, labels, weights, brain = (volume.astype(np.float32) for volume in volumes)
    return Patches(channels, case.present[None].copy(), labels, weights, brain, guidance_maps(case, (x, y, z))[None])


def guidance_maps(
    case: CachedCase, box: tuple[slice, slice, slice] = (slice(None), slice(None), slice(None))
) -> np.ndarray:
    """The guidance maps in a box of a case, float32 (D, X, Y, Z); D is 0 where the case has none."""
    if case.guidance is None:
        shape = tuple(len(range(*part.indices(size))) for part, size in zip(box, case.shape, strict=True))
        return np.zeros((0, *shape), dtype=np.float32)
    with safe_open(case.guidance, framework="np") as file:
        maps = file.get_slice(stored_name("guidance", "guidance", file.keys()))
        return np.asarray(maps[:, box[0], box[1], box[2]], dtype=np.float32)


def _sample_centre(case: CachedCase, rng: np.random.Generator, *, small_voxels: float) -> np.ndarray:
    anywhere, among_small = rng.random() < 0.3, rng.random() < 0.5
    if anywhere or not len(case.ends):
        sites = case.brain_sites
        return sites[rng.integers(len(sites))].astype(np.int64)
    starts = np.concatenate([[0], case.ends[:-1]])
    small = np.flatnonzero(case.ends - starts < small_voxels)
    pool = small if among_small and len(small) else np.arange(len(case.ends))
    component = pool[rng.integers(len(pool))]
    return case.sites[rng.integers(starts[component], case.ends[component])].astype(np.int64)


def concatenate_patches(patches: Sequence[Patches]) -> Patches:
    """Several batches as one."""
    return Patches(*(np.concatenate([getattr(p, f.name) for p in patches]) for f in fields(Patches)))
