"""Examples of a second look: the candidates of a first pass in simulated cases, cached one file for each case.

A case is a whole head, or a patch that prepares itself (``training.cache.PreparedSource``). A file holds cubes that are
``JITTER`` voxels larger on each side than those that the network sees, so that training moves them at random. An
interrupted preparation continues where it stopped.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from adumbra.core.atomic_io import write_atomically
from adumbra.core.case import Case, Scan
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.geometry.components import dilate
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resample
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import Modality
from adumbra.evaluation.segmentation.candidates import matched_components
from adumbra.fusion.candidates.cubes import CaseReader, cube_grid, cube_images, cube_maps, present_modalities
from adumbra.fusion.candidates.extraction import Extracted
from adumbra.fusion.candidates.first_pass import FirstPass
from adumbra.inference.model_input import BEYOND_BRAIN_MM
from adumbra.posterior.second_look import SecondLook
from adumbra.preprocessing.regions import RegionReader
from adumbra.segmentation_model import SegmentationModel
from adumbra.training.cache import CaseSource, PreparedSource

JITTER = 3
"""Voxels by which a cube is moved at most along each axis in training."""
MAP_STEPS = 255
"""Steps of the maps of the first pass in a file, from probability 0 to 1."""


@dataclass(frozen=True, eq=False)
class SearchedCase:
    """A case with the candidates of its first pass.

    Attributes:
        maps: Maps of the first pass.
        candidates: The candidates.
        clots: Number of the true clot that each matches, 0 where it matches none.
        clot_count: Number of true clots.
        truth: The true mask, on any grid.
        read: Gives the case on the grid of a cube.
    """

    maps: FirstPass
    candidates: tuple[Extracted, ...]
    clots: tuple[int, ...]
    clot_count: int
    truth: Scan
    read: CaseReader


def searched_case(source: CaseSource, model: SegmentationModel) -> SearchedCase:
    """The candidates of a case that has a true mask.

    Args:
        source: A whole head or a patch.
        model: First pass and second look; the second look may be untrained.

    Raises:
        MissingInput: The case has no true mask.
        InputRejected: The case cannot be predicted.
    """
    is_patch = isinstance(source, PreparedSource)
    return _of_patch(source, model) if is_patch else _of_head(source.open(), model)  # type: ignore[arg-type]


def _of_head(case: Case, model: SegmentationModel) -> SearchedCase:
    aligned = model.align(_require_truth(case, model))
    region = dilate(aligned.masks["brain"].data, aligned.grid, by_mm=BEYOND_BRAIN_MM)
    prepared = model.prepare(model.network_cases(aligned), aligned.grid, within=region)
    look = _look_of(model)
    maps = look.first_pass(prepared, aligned.grid, within=region, members=model.member_count)
    read = RegionReader(aligned, model.networks[0].card.spacing_mm)
    truth = aligned.masks[model.target]
    return _searched(maps, look, truth, truth.data, read)


def _of_patch(source: PreparedSource, model: SegmentationModel) -> SearchedCase:
    look = _look_of(model)
    spacings = dict.fromkeys(network.card.spacing_mm for network in model.networks)
    modalities = model.modalities
    mirrored = any(network.network.config.mirrored for network in model.networks)
    cases = {
        spacing: source.network_case(modalities=modalities, spacing_mm=spacing, mirrored=mirrored)
        for spacing in spacings
    }
    cases = {spacing: _all_brain(case) for spacing, case in cases.items()}
    coarse = _require_truth(next(iter(cases.values())), model)
    cube = look.examiners[0]
    fine = source.network_case(modalities=modalities, spacing_mm=cube.spacing_mm, mirrored=cube.mirrored)
    region = coarse.masks["brain"].data
    prepared = model.prepare(cases, coarse.grid, within=region)
    maps = look.first_pass(prepared, coarse.grid, within=region, members=model.member_count)
    truth = coarse.masks[model.target].data
    return _searched(maps, look, fine.masks[model.target], truth, PatchReader(fine))


def _all_brain(case: Case) -> Case:
    """The patch with a brain mask of all its voxels: it is read as a whole, also beyond the brain.

    Where the other side of the head is unknown, its images are zero.
    """
    brain = Scan(
        np.ones(case.masks["brain"].grid.shape, dtype=bool), case.masks["brain"].grid, case.masks["brain"].grid
    )
    unknown = {m: replace(s, data=np.zeros(s.grid.shape, np.float32)) for m, s in case.scans.items()}
    return replace(case, masks={**case.masks, "brain": brain}, mirrors=case.mirrors or unknown)


def _searched(maps: FirstPass, look: SecondLook, truth: Scan, on_maps: np.ndarray, read: CaseReader) -> SearchedCase:
    candidates = look.candidates(maps)
    clots, count = matched_components([c.voxels for c in candidates], on_maps, maps.grid)
    return SearchedCase(maps, candidates, clots, count, truth, read)


@dataclass(frozen=True, eq=False)
class PatchReader:
    """A patch in network units on other grids; zero outside it.

    Attributes:
        case: The patch.
    """

    case: Case

    def __call__(self, grid: Grid) -> Case:
        """The scans of the patch and of the other side of the head on a grid, without masks."""
        scans, mirrors = (_on_grid(scans, grid) for scans in (self.case.scans, self.case.mirrors))
        return replace(self.case, scans=scans, masks={}, mirrors=mirrors)


def _on_grid(scans: Mapping[Modality, Scan], grid: Grid) -> dict[Modality, Scan]:
    return {
        modality: replace(scan, data=resample(scan.data, scan.grid, grid), grid=grid, valid_mask=None)
        for modality, scan in scans.items()
    }


def _require_truth(case: Case, model: SegmentationModel) -> Case:
    if case.truth(model.target) is None:
        raise MissingInput(
            case.name, expected=f"a mask of the {model.target}", found="none", do="leave the case out, or segment it"
        )
    return case


def _look_of(model: SegmentationModel) -> SecondLook:
    if model.second_look is None:
        raise InputRejected("model", expected="a second look", found="none", do="give one, which may be untrained")
    return model.second_look


@dataclass(frozen=True)
class ExampleOptions:
    """What is cached of a case.

    Attributes:
        most_false: Largest number of false candidates, those with the highest peaks; all true ones are cached.
    """

    most_false: int = 4


def cache_examples(
    sources: Sequence[CaseSource],
    folder: Path,
    load: Callable[[], SegmentationModel],
    *,
    options: ExampleOptions | None = None,
    progress: Progress = quiet,
) -> tuple[Path, ...]:
    """Writes the file of each case that has none for this first pass.

    Args:
        sources: Whole heads and patches, with unique names.
        folder: Folder of the files; it is made where it is missing.
        load: Gives first pass and second look.
        options: What is cached.
        progress: Reports the preparation.

    Returns:
        The files, in the order of the cases.

    Raises:
        InputRejected: Two cases share a name, or a case cannot be used.
        OutputRefused: A file cannot be written.
    """
    options, model = options or ExampleOptions(), load()
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"{source.name}.safetensors" for source in sources)
    if len(set(paths)) < len(paths):
        twice = sorted({p.stem for p in paths if paths.count(p) > 1})
        raise InputRejected("cases", expected="a name for each", found=f"{twice[0]} twice", do="rename one of them")
    identity = examples_identity(model, options)
    missing = [(s, p) for s, p in zip(sources, paths, strict=True) if not _is_current(p, identity)]
    for source, path in progress.track(missing, what="Preparing candidates", total=len(missing)):
        arrays = example_arrays(searched_case(source, model), model, options)
        write_atomically(path, save(arrays, {"identity": identity}))
    return paths


def examples_identity(model: SegmentationModel, options: ExampleOptions) -> str:
    """What a file of examples depends on, as one line of JSON."""
    look = _look_of(model)
    first, rule = look.examiners[0], look.rule
    facts = {
        "version": 1,
        "weights": [network.card.sha256 for network in model.networks],
        "posterior": model.posterior_name,
        "cube": [first.spacing_mm, first.side, first.mirrored, *first.modalities],
        "rule": [rule.low, rule.peak, rule.most],
        "most_false": options.most_false,
    }
    return json.dumps(facts, sort_keys=True)


def example_arrays(case: SearchedCase, model: SegmentationModel, options: ExampleOptions) -> dict[str, np.ndarray]:
    """The arrays of a case with N examples, in cubes of side S.

    Returns:
        ``images`` float16 (N, C, S, S, S) in network units, with M mirror images behind them where they are known;
        ``maps`` uint8 (N, 4, S, S, S), see ``MAP_STEPS``; ``present`` float32 (C,); ``true`` uint8 (N,); ``contour``
        uint8 (N, S, S, S), the true mask.
    """
    examiner = _look_of(model).examiners[0]
    side, false, rows = examiner.side + 2 * JITTER, 0, []
    present = np.zeros(len(examiner.modalities), dtype=np.float32)
    for candidate, clot in zip(case.candidates, case.clots, strict=True):
        false += not clot
        if not clot and false > options.most_false:
            continue
        centre_mm = candidate.features.position_mm
        grid = cube_grid(centre_mm, case.maps.grid, spacing_mm=examiner.spacing_mm, side=side)
        cube = case.read(grid)
        present = present_modalities(cube, examiner.modalities)
        images = cube_images(cube, examiner.modalities, mirrored=examiner.mirrored and bool(cube.mirrors))
        contour = resample(case.truth.data, case.truth.grid, grid)
        rows.append((images, cube_maps(case.maps, grid), clot > 0, contour))
    cubes = (side, side, side)
    channels = rows[0][0].shape[0] if rows else len(present)
    return {
        "images": _stacked([row[0] for row in rows], (channels, *cubes), np.float16),
        "maps": _stacked([np.round(row[1] * MAP_STEPS) for row in rows], (4, *cubes), np.uint8),
        "present": present,
        "true": np.array([row[2] for row in rows], dtype=np.uint8),
        "contour": _stacked([row[3] for row in rows], cubes, np.uint8),
    }


def _stacked(parts: Sequence[np.ndarray], shape: tuple[int, ...], dtype: type) -> np.ndarray:
    return np.stack(parts).astype(dtype) if parts else np.zeros((0, *shape), dtype=dtype)


def _is_current(path: Path, identity: str) -> bool:
    try:
        with safe_open(path, framework="np") as file:
            return (file.metadata() or {}).get("identity") == identity
    except (OSError, SafetensorError):
        return False
