"""Preprocessed cases on disk, one file each, so that a training step reads only the patches it needs.

The module does without torch, so that the processes that fill the cache start fast. A file is written under another
name and renamed when it is complete: an interrupted run continues where it stopped.
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
from adumbra.core.case import Case, annotator_mask_name
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.geometry.components import component_sizes, label_components
from adumbra.core.geometry.reflection import index_reflection, sub_grid
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import STRUCTURES, Affine, Mask, Modality, Structure, Target, Volume, targets_of
from adumbra.preprocessing.pipeline import preprocess
from adumbra.training.mirror import other_side

_MARGIN_MM = 12.0
_BRAIN_SITES = 4096  # Number of brain voxels stored per case, to centre patches on.
_REFERENCE_VOXELS = 100  # Size of a component of weight 1.
_WEIGHTS = (0.3, 2.5)
_NEAR = 3.0  # Distance in voxels within which the surroundings of a component share its weight.


@runtime_checkable
class CaseSource(Protocol):
    """A case that is opened on demand. Implementations must be picklable."""

    @property
    def name(self) -> str:
        """Pseudonym, unique among the cases."""
        ...

    def open(self) -> Case:
        """The case with the masks of its targets."""
        ...


@runtime_checkable
class PreparedSource(CaseSource, Protocol):
    """A case that prepares itself for a network, such as a patch that has the units of its whole head."""

    def network_case(self, *, modalities: Sequence[Modality], spacing_mm: float, mirrored: bool = False) -> Case:
        """The case at the spacing of a network and in network units; ``mirrored`` with the other side of the head."""
        ...


@dataclass(frozen=True)
class CacheConfig:
    """The options that the files of a cache depend on.

    Attributes:
        modalities: Modality of each channel, in order.
        targets: Targets, the first of which determines the grid, then the structures that are learned beside them.
            Where a case does not have the mask of a structure, its weights are zero.
        registration: Whether scans on different grids are registered.
        spacing_mm: Spacing of the isotropic grid, in millimetres.
        least_side: Smallest side of a volume, in voxels; smaller volumes are padded with zeros.
        annotators: Number of annotators of each case, whose masks the case holds under ``case.annotator_mask_name``.
        mirrored: Whether the reflection of the head is estimated, for mirror images.
    """

    modalities: tuple[Modality, ...] = ("dwi", "adc", "b0", "flair")
    targets: tuple[Target | Structure, ...] = ("lesion",)
    registration: Literal["auto", "never"] = "auto"
    spacing_mm: float = 2.0
    least_side: int = 64
    annotators: int = 0
    mirrored: bool = False


def cache_cases(
    cases: Sequence[CaseSource], folder: Path, config: CacheConfig, *, workers: int = 1, progress: Progress = quiet
) -> tuple[Path, ...]:
    """Writes the cache file of each case that has none of this configuration.

    Args:
        cases: The cases, with unique names.
        folder: Folder of the cache files; it is made where it is missing.
        config: Options that the files depend on.
        workers: Number of processes.
        progress: Reports the preparation.

    Returns:
        The cache files, in the order of the cases.

    Raises:
        InputRejected: Two cases share a name, or a case cannot be used; the error names it.
        OutputRefused: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"{case.name}.safetensors" for case in cases)
    if len(set(paths)) < len(paths):
        twice = sorted({p.stem for p in paths if paths.count(p) > 1})
        raise InputRejected("cases", expected="a name for each", found=f"{twice[0]} twice", do="rename one of them")
    missing = [(case, path) for case, path in zip(cases, paths, strict=True) if not _is_current(path, config)]
    if missing:
        _write_all(missing, config, workers, progress)
    return paths


def link_cache(cache: Path, out: Path) -> None:
    """Gives the folder of a training prepared cases that several trainings share, as a link.

    Args:
        cache: Folder of the prepared cases.
        out: Folder of the training; it is made where it is missing. A cache that it has is left as it is.
    """
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "cache").exists():
        (out / "cache").symlink_to(cache.resolve(), target_is_directory=True)


def _write_all(
    missing: Sequence[tuple[CaseSource, Path]], config: CacheConfig, workers: int, progress: Progress
) -> None:
    sources, paths = zip(*missing, strict=True)
    label = {"what": "Preparing cases", "total": len(sources)}
    if workers <= 1:
        for _ in progress.track(map(_write, sources, paths, repeat(config)), **label):  # type: ignore[arg-type]
            pass
        return
    # Spawned, not forked: a fork of a process whose threads compute may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for _ in progress.track(pool.map(_write, sources, paths, repeat(config)), **label):  # type: ignore[arg-type]
            pass


def _is_current(path: Path, config: CacheConfig) -> bool:
    try:
        with safe_open(path, framework="np") as file:
            return (file.metadata() or {}).get("config") == _identity(config)
    except (OSError, SafetensorError):
        return False


def _identity(config: CacheConfig) -> str:
    facts = {"version": 3, **asdict(config)}
    if not config.annotators:
        del facts["annotators"]  # files of earlier versions do not name it
    if not config.mirrored:
        del facts["mirrored"]  # likewise
    return json.dumps(facts, sort_keys=True)


def _write(case: CaseSource, path: Path, config: CacheConfig) -> None:
    if isinstance(case, PreparedSource):
        options = {"mirrored": True} if config.mirrored else {}
        prepared = case.network_case(modalities=config.modalities, spacing_mm=config.spacing_mm, **options)
        arrays = _cropped_arrays(prepared, config)
    else:
        arrays = training_arrays(case.open(), config)
    # One key of metadata only: safetensors writes several in an order that changes from run to run.
    write_atomically(path, save(arrays, {"config": _identity(config)}))


def training_arrays(case: Case, config: CacheConfig) -> dict[str, np.ndarray]:
    """The arrays that training needs of a case.

    Returns:
        ``channels`` float16 (C, X, Y, Z) in network units; ``present`` float32 (C,); ``brain`` uint8 (X, Y, Z);
        ``affine`` float64 (4, 4), from the index of a voxel to RAS+ mm; ``labels`` uint8 and ``weights`` float16
        (T, X, Y, Z), see ``balancing_weights``; ``sites`` int16 (N, 3), the voxels of the targets ordered by component;
        ``ends`` int64 (K,), where the voxels of each component end in ``sites``; ``brain_sites`` int16 (M, 3); with
        annotators ``annotations`` uint8 (A, T, X, Y, Z), the masks of each; with structures ``known`` float32 (S,), 1
        where the case has their masks, whose ``weights`` are equal everywhere and not stored; with mirror images
        ``reflection`` float64 (4, 4), from the index of a voxel to that of its mirror image. A part of a head has its
        other side as ``mirrors`` float16 (C, X, Y, Z) and ``mirror_brain`` uint8 (X, Y, Z), in place, and the identity
        as its reflection.

    Raises:
        MissingInput: The case lacks the mask of a target.
    """
    for name in (*targets_of(config.targets), *(name for names in _annotations(config) for name in names)):
        if name not in case.masks:
            raise MissingInput(
                case.name,
                expected=f"a mask of the {name}",
                found=", ".join(case.masks) or "no masks",
                do="leave the case out, or give its mask (an empty one where the target is absent)",
            )
    # Scans that the network does not use need not be registered.
    used = case.updated(scans={m: s for m, s in case.scans.items() if m in config.modalities})
    _, network_case = preprocess(
        used,
        target=targets_of(config.targets)[0],
        modalities=config.modalities,
        spacing_mm=config.spacing_mm,
        registration=config.registration,
        mirrored=config.mirrored,
    )
    return _cropped_arrays(network_case, config)


def _annotations(config: CacheConfig) -> list[list[str]]:
    """Names of the masks of each annotator, by target."""
    numbers = range(1, config.annotators + 1)
    return [[annotator_mask_name(target, number) for target in targets_of(config.targets)] for number in numbers]


def _cropped_arrays(case: Case, config: CacheConfig) -> dict[str, np.ndarray]:
    brain = case.masks["brain"].data
    targets = [case.masks[name].data for name in targets_of(config.targets)]
    box, padding = _box(np.logical_or.reduce([brain, *targets]), config)

    def crop(volume: np.ndarray) -> np.ndarray:
        return np.pad(volume[box], padding)

    nothing = np.zeros(case.grid.shape, dtype=np.float32)
    scans = [case.scans[m].data if m in case.scans else nothing for m in config.modalities]
    structures = [name for name in config.targets if name in STRUCTURES]
    masks = [case.masks[name].data if name in case.masks else nothing.astype(bool) for name in config.targets]
    labels = np.stack([crop(mask) for mask in masks])
    of_targets = labels[: len(labels) - len(structures)]
    sites, ends = _component_sites(of_targets)
    annotations = [[crop(case.masks[name].data) for name in names] for names in _annotations(config)]
    return {
        "channels": np.stack([crop(scan).astype(np.float16) for scan in scans]),
        "present": np.array([m in case.scans for m in config.modalities], dtype=np.float32),
        "brain": crop(brain).astype(np.uint8),
        "labels": labels.astype(np.uint8),
        "weights": np.stack([balancing_weights(mask).astype(np.float16) for mask in of_targets]),
        "sites": sites,
        "ends": ends,
        "brain_sites": _evenly_spaced(np.argwhere(crop(brain)), _BRAIN_SITES).astype(np.int16),
        **({"known": np.array([n in case.masks for n in structures], np.float32)} if structures else {}),
        **({"annotations": np.array(annotations, dtype=np.uint8)} if annotations else {}),
        **_positions(case, box, padding),
        **(other_side(case, config.modalities, crop) if config.mirrored and case.reflection is None else {}),
    }


def _positions(case: Case, box: tuple[slice, ...], padding: list[tuple[int, int]]) -> dict[str, Affine]:
    """The affine of the cropped and padded volumes, and the reflection of the case, if it has one, in their indices."""
    low = [part.start - before for part, (before, _) in zip(box, padding, strict=True)]
    grid = sub_grid(case.grid, low, (1, 1, 1))
    if case.reflection is None:
        return {"affine": grid.affine}
    return {"affine": grid.affine, "reflection": index_reflection(case.reflection, grid)}


def _box(inside: Mask, config: CacheConfig) -> tuple[tuple[slice, ...], list[tuple[int, int]]]:
    """The bounding box with its margin, and the padding that extends it to ``least_side``."""
    index = np.argwhere(inside)
    margin = int(np.ceil(_MARGIN_MM / config.spacing_mm))
    low = np.maximum(index.min(axis=0) - margin, 0)
    high = np.minimum(index.max(axis=0) + 1 + margin, inside.shape)
    short = np.maximum(config.least_side - (high - low), 0)
    padding = [(int(s // 2), int(s - s // 2)) for s in short]
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True)), padding


def _component_sites(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The voxels of all components in the order of their components, and where each component ends."""
    sites, sizes = [np.zeros((0, 3), dtype=np.int16)], [np.zeros(0, dtype=np.int64)]
    for mask in labels:
        components, count = label_components(mask)
        where = np.argwhere(components)
        order = np.argsort(components[tuple(where.T)], kind="stable")
        sites.append(where[order].astype(np.int16))
        sizes.append(component_sizes(components, count).astype(np.int64))
    return np.concatenate(sites), np.cumsum(np.concatenate(sizes))


def _evenly_spaced(index: np.ndarray, most: int) -> np.ndarray:
    """At most ``most`` rows, evenly spaced among all."""
    return index if len(index) <= most else index[np.linspace(0, len(index) - 1, most).astype(int)]


def balancing_weights(mask: Mask) -> Volume:
    """The weight of each voxel in the loss, which keeps a large lesion from dominating a small one.

    A component of n voxels has the weight (100 / n)^0.5, limited to [0.3, 2.5]. The voxels within 3 voxels of it have
    the same weight: if the inside outweighed the outside, the network would segment it too large. Other voxels have the
    weight 1.
    """
    components, count = label_components(mask)
    if count == 0:
        return np.ones(mask.shape, dtype=np.float32)
    sizes = component_sizes(components, count)
    by_component = np.clip(np.sqrt(_REFERENCE_VOXELS / sizes), *_WEIGHTS).astype(np.float32)
    weights = np.ones(mask.shape, dtype=np.float32)
    around = _bounding_box(mask, int(np.ceil(_NEAR)))  # The distance transform of a whole head takes most of a second.
    distance, nearest = ndimage.distance_transform_edt(components[around] == 0, return_indices=True)
    owner = components[around][tuple(nearest)]
    weights[around] = np.where(distance <= _NEAR, by_component[owner - 1], np.float32(1.0))
    return weights


def _bounding_box(mask: Mask, margin: int) -> tuple[slice, ...]:
    """The bounding box of a mask, extended by ``margin`` voxels on each side."""
    index = np.argwhere(mask)
    low, high = np.maximum(index.min(axis=0) - margin, 0), index.max(axis=0) + 1 + margin
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
