"""Cases made ready once, one file each, so that a training step only reads the patches it needs.

Without torch, so that the processes that fill the cache start fast. A file is written under another name and renamed
when it is whole: a file that is there is complete, and a killed run goes on where it was.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy import ndimage

from adumbra.core.atomic_io import write_atomically
from adumbra.core.case import Case
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.geometry.components import component_sizes, labelled
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import Mask, Modality, Target, Volume
from adumbra.preprocessing.pipeline import preprocess

_MARGIN_MM = 12.0
_BRAIN_SITES = 4096  # Brain voxels remembered per case, to centre patches on.
_REFERENCE_VOXELS = 100  # A component of this size has weight 1.
_WEIGHTS = (0.3, 2.5)
_NEAR = 3.0  # Voxels around a component that share its weight.


@runtime_checkable
class CaseRef(Protocol):
    """A case that is not yet read. Must be picklable."""

    @property
    def name(self) -> str:
        """A pseudonym, unique among the cases."""
        ...

    def open(self) -> Case:
        """The case, with the targets' masks."""
        ...


@dataclass(frozen=True)
class CacheConfig:
    """What the files of a cache depend on.

    Attributes:
        modalities: Channels in order.
        targets: Masks in order; the first says on whose grid.
        registration: Whether scans on different grids are registered.
        spacing_mm: Of the isotropic grid.
        least_side: Volumes are padded with zeros to this many voxels along each axis.
    """

    modalities: tuple[Modality, ...] = ("dwi", "adc", "b0", "flair")
    targets: tuple[Target, ...] = ("lesion",)
    registration: Literal["auto", "never"] = "auto"
    spacing_mm: float = 2.0
    least_side: int = 64


def cached(
    cases: Sequence[CaseRef], folder: Path, config: CacheConfig, *, workers: int = 1, progress: Progress = quiet
) -> tuple[Path, ...]:
    """The cache files of the cases, in their order; what is not there, or was made otherwise, is made.

    Raises:
        InputRejected: Two cases share a name, or a case cannot be used; the error names it.
        OutputRefused: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"{case.name}.safetensors" for case in cases)
    if len(set(paths)) < len(paths):
        twice = sorted({p.stem for p in paths if paths.count(p) > 1})
        raise InputRejected("cases", expected="a name for each", found=f"{twice[0]} twice", do="rename one of them")
    missing = [(case, path) for case, path in zip(cases, paths, strict=True) if not _is_made(path, config)]
    if missing:
        _make_all(missing, config, workers, progress)
    return paths


def _make_all(missing: Sequence[tuple[CaseRef, Path]], config: CacheConfig, workers: int, progress: Progress) -> None:
    todo, paths = zip(*missing, strict=True)
    watched = {"what": "Preparing cases", "total": len(todo)}
    if workers <= 1:
        for _ in progress.track(map(_make, todo, paths, repeat(config)), **watched):  # type: ignore[arg-type]
            pass
        return
    # Spawned, not forked: a fork of a process whose threads compute may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for _ in progress.track(pool.map(_make, todo, paths, repeat(config)), **watched):  # type: ignore[arg-type]
            pass


def _is_made(path: Path, config: CacheConfig) -> bool:
    try:
        with safe_open(path, framework="np") as file:
            return (file.metadata() or {}).get("config") == _identity(config)
    except (OSError, SafetensorError):
        return False


def _identity(config: CacheConfig) -> str:
    return json.dumps({"version": 3, **asdict(config)}, sort_keys=True)


def _make(case: CaseRef, path: Path, config: CacheConfig) -> None:
    arrays = arrays_of(case.open(), config)
    # One key of metadata only: safetensors writes several in an order that changes from run to run.
    write_atomically(path, save(arrays, {"config": _identity(config)}))


def arrays_of(case: Case, config: CacheConfig) -> dict[str, np.ndarray]:
    """What training needs of a case.

    Returns:
        ``channels`` float16 (C, X, Y, Z) in network units; ``present`` float32 (C,); ``brain`` uint8; ``labels`` uint8
        and ``weights`` float16 (T, X, Y, Z), see ``balancing_weights``; ``sites`` int16 (N, 3), the targets' voxels
        ordered by component, ``ends`` int64 (K,), where each component's voxels end in ``sites``; ``brain_sites``
        int16 (M, 3).
    """
    for target in config.targets:
        if case.truth(target) is None:
            raise MissingInput(
                case.name,
                expected=f"an outlined {target}",
                found=", ".join(case.masks) or "no masks",
                do="leave the case out, or give its mask (an empty one where nothing was found)",
            )
    # What the network does not look at need not be registered.
    looked_at = case.updated(scans={m: s for m, s in case.scans.items() if m in config.modalities})
    _, ready = preprocess(
        looked_at,
        target=config.targets[0],
        modalities=config.modalities,
        spacing_mm=config.spacing_mm,
        registration=config.registration,
    )
    return _cropped(ready, config)


def _cropped(case: Case, config: CacheConfig) -> dict[str, np.ndarray]:
    masks = [case.masks[target].data for target in config.targets]
    brain = case.masks["brain"].data
    box, padding = _box(np.logical_or.reduce([brain, *masks]), config)

    def cut(volume: np.ndarray) -> np.ndarray:
        return np.pad(volume[box], padding)

    nothing = np.zeros(case.grid.shape, dtype=np.float32)
    scans = [case.scans[m].data if m in case.scans else nothing for m in config.modalities]
    labels = np.stack([cut(mask) for mask in masks])
    sites, ends = _component_sites(labels)
    return {
        "channels": np.stack([cut(scan).astype(np.float16) for scan in scans]),
        "present": np.array([m in case.scans for m in config.modalities], dtype=np.float32),
        "brain": cut(brain).astype(np.uint8),
        "labels": labels.astype(np.uint8),
        "weights": np.stack([balancing_weights(mask).astype(np.float16) for mask in labels]),
        "sites": sites,
        "ends": ends,
        "brain_sites": _spread(np.argwhere(cut(brain)), _BRAIN_SITES).astype(np.int16),
    }


def _box(inside: Mask, config: CacheConfig) -> tuple[tuple[slice, ...], list[tuple[int, int]]]:
    """The bounding box with its margin, and the zeros that bring it to ``least_side``."""
    index = np.argwhere(inside)
    margin = int(np.ceil(_MARGIN_MM / config.spacing_mm))
    low = np.maximum(index.min(axis=0) - margin, 0)
    high = np.minimum(index.max(axis=0) + 1 + margin, inside.shape)
    short = np.maximum(config.least_side - (high - low), 0)
    padding = [(int(s // 2), int(s - s // 2)) for s in short]
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True)), padding


def _component_sites(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All component voxels in the order of their components, and where each component ends."""
    sites, sizes = [np.zeros((0, 3), dtype=np.int16)], [np.zeros(0, dtype=np.int64)]
    for mask in labels:
        components, count = labelled(mask)
        where = np.argwhere(components)
        order = np.argsort(components[tuple(where.T)], kind="stable")
        sites.append(where[order].astype(np.int16))
        sizes.append(component_sizes(components, count).astype(np.int64))
    return np.concatenate(sites), np.cumsum(np.concatenate(sizes))


def _spread(index: np.ndarray, most: int) -> np.ndarray:
    """At most so many rows, evenly spread over all."""
    return index if len(index) <= most else index[np.linspace(0, len(index) - 1, most).astype(int)]


def balancing_weights(mask: Mask) -> Volume:
    """How much each voxel counts in the loss, so that a large lesion does not drown a small one.

    A component of n voxels weighs (100 / n)^0.5, held within [0.3, 2.5]; so do the voxels within 3 voxels of it, for if
    the inside weighed more than the outside the network would draw it too large. Everywhere else 1.
    """
    components, count = labelled(mask)
    if count == 0:
        return np.ones(mask.shape, dtype=np.float32)
    sizes = component_sizes(components, count)
    by_component = np.clip(np.sqrt(_REFERENCE_VOXELS / sizes), *_WEIGHTS).astype(np.float32)
    weights = np.ones(mask.shape, dtype=np.float32)
    around = _around(mask, int(np.ceil(_NEAR)))  # the distance transform of the whole head would take most of a second
    distance, nearest = ndimage.distance_transform_edt(components[around] == 0, return_indices=True)
    owner = components[around][tuple(nearest)]
    weights[around] = np.where(distance <= _NEAR, by_component[owner - 1], np.float32(1.0))
    return weights


def _around(mask: Mask, margin: int) -> tuple[slice, ...]:
    """The bounding box of what is True, wider by ``margin`` voxels on each side."""
    index = np.argwhere(mask)
    low, high = np.maximum(index.min(axis=0) - margin, 0), index.max(axis=0) + 1 + margin
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
