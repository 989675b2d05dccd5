"""Patches sampled from cached cases. The patches of a step depend on its number only, not on earlier steps."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from safetensors import safe_open

from adumbra.core.atlas.head_context import ContextInput, HeadContext
from adumbra.core.legacy import stored_name
from adumbra.training.context import ABSENT, context_volume, read_context
from adumbra.training.mirror import jittered, mirror_patch

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
        reflection: (4, 4), index of a voxel to that of its mirror image; None where it was not estimated.
        affine: (4, 4), index of a voxel to subject mm; None in files of earlier versions.
        context: What context inputs are computed from, see ``training.context``; None where it was not estimated.
    """

    path: Path
    shape: tuple[int, int, int]
    present: np.ndarray
    sites: np.ndarray
    ends: np.ndarray
    brain_sites: np.ndarray
    guidance: Path | None = None
    reflection: np.ndarray | None = None
    affine: np.ndarray | None = None
    context: HeadContext | None = None

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
        regions: int32 (B, T, X, Y, Z), the components that the loss needs, see ``training.component_regions``; None
            where it needs none.
        mirror: (B, C, X, Y, Z), ``channels`` of the other side of the head, see ``training.mirror``; None where the
            network takes none.
        mirror_brain: (B, 1, X, Y, Z), ``brain`` of the other side; None likewise.
        context: (B, K, X, Y, Z), context inputs, see ``core.atlas.context_channels``; None where there are none.
    """

    channels: np.ndarray
    present: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    brain: np.ndarray
    guidance: np.ndarray
    regions: np.ndarray | None = None
    mirror: np.ndarray | None = None
    mirror_brain: np.ndarray | None = None
    context: np.ndarray | None = None


def open_cached_case(path: Path) -> CachedCase:
    """A cached case; its volumes are not read."""
    with safe_open(path, framework="np") as file:
        x, y, z = file.get_slice("brain").get_shape()
        small = (file.get_tensor(name) for name in ("present", "sites", "ends", "brain_sites"))
        keys = file.keys()
        reflection, affine = (file.get_tensor(n) if n in keys else None for n in ("reflection", "affine"))
        present, sites, ends, brain_sites = small
        return CachedCase(
            path, (x, y, z), present, sites, ends, brain_sites,
            reflection=reflection, affine=affine, context=read_context(path),
        )  # fmt: skip


def sample_patch(
    case: CachedCase,
    rng: np.random.Generator,
    *,
    side: int,
    spacing_mm: float,
    annotator: int = 0,
    mirror_rng: np.random.Generator | None = None,
    inputs: Sequence[ContextInput] = (),
    context_rng: np.random.Generator | None = None,
) -> Patches:
    """Samples one patch of a case, as a batch of one.

    30 % of the patches lie anywhere in the brain, the others around a component of a target. Half of the latter are
    around a component of less than 1.6 ml, where the case has one. Components are sampled uniformly, whatever their
    size.

    Args:
        case: The case.
        rng: Source of all randomness.
        side: Side of the patch, in voxels.
        spacing_mm: Spacing of the case's isotropic grid, in millimetres.
        annotator: Number of the annotator whose labels are taken, from 1; 0 draws one of them. A case without
            annotators has its own mask.
        mirror_rng: Source of the jitter of the reflection, for a case that has one; None samples no mirror image.
        inputs: Context inputs of the patch.
        context_rng: Source of the jitter of their place, and of whether the upstream prior is absent; None changes
            neither.

    Raises:
        InputRejected: See ``training.context.context_volume``.
    """
    centre = _sample_centre(case, rng, small_voxels=_SMALL_ML * 1000.0 / spacing_mm**3)
    jitter = rng.integers(-(side // 4), side // 4 + 1, 3)
    low = np.clip(centre + jitter - side // 2, 0, np.asarray(case.shape) - side)
    x, y, z = (slice(int(a), int(a) + side) for a in low)
    with safe_open(case.path, framework="np") as file:
        volumes = [file.get_slice(name)[:, x, y, z][None] for name in ("channels", "labels", "weights")]
        volumes.append(file.get_slice("brain")[x, y, z][None, None])
        if "annotations" in file.keys():  # noqa: SIM118 (no mapping)
            annotations = file.get_slice("annotations")
            number = annotator - 1 if annotator else int(rng.integers(annotations.get_shape()[0]))
            volumes[1] = annotations[number, :, x, y, z][None]
        known = file.get_tensor("known") if "known" in file.keys() else np.zeros(0, np.float32)  # noqa: SIM118
    channels, labels, weights, brain = (volume.astype(np.float32) for volume in volumes)
    if len(known):
        of_structures = np.broadcast_to(known[None, :, None, None, None], (1, len(known), *weights.shape[2:]))
        weights = np.concatenate([weights, of_structures], axis=1)
    guidance = guidance_maps(case, (x, y, z))[None]
    context = patch_context(case, inputs, (x, y, z), context_rng, spacing_mm=spacing_mm)
    patch = Patches(channels, case.present[None].copy(), labels, weights, brain, guidance, context=context)
    if case.reflection is None or mirror_rng is None:
        return patch
    reflection = jittered(case.reflection, case.shape, mirror_rng, spacing_mm=spacing_mm)
    mirror, mirror_brain = mirror_patch(case.path, case.shape, reflection, (x, y, z))
    return replace(patch, mirror=mirror[None], mirror_brain=mirror_brain[None])


def patch_context(
    case: CachedCase,
    inputs: Sequence[ContextInput],
    box: tuple[slice, slice, slice],
    rng: np.random.Generator | None,
    *,
    spacing_mm: float,
) -> np.ndarray | None:
    """The context inputs of a box of a case, float32 (1, K, X, Y, Z); None without inputs.

    The place of the head is turned and shifted a little, as the place that is estimated for a new case is no more
    precise, and the upstream prior is absent with the probability ``training.context.ABSENT``.

    Args:
        case: The case.
        inputs: Names of the inputs.
        box: The voxels of the patch.
        rng: Source of both; None changes neither.
        spacing_mm: Spacing of the case's isotropic grid, in millimetres.
    """
    if not inputs:
        return None
    context, move = case.context, np.eye(4)
    move[:3, 3] = [part.start for part in box]
    if rng is not None:
        move = jittered(np.eye(4), case.shape, rng, spacing_mm=spacing_mm) @ move
        if rng.random() < ABSENT and context is not None:
            context = replace(context, upstream=None)
    affine = None if case.affine is None else case.affine @ move
    x, y, z = (part.stop - part.start for part in box)
    return context_volume(case.path, context, affine, inputs, (x, y, z))[None]


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
    """Several batches as one, without regions, whose numbers hold for one batch only."""
    names = [f.name for f in fields(Patches) if f.name != "regions" and getattr(patches[0], f.name) is not None]
    return Patches(**{name: np.concatenate([getattr(p, name) for p in patches]) for name in names})
