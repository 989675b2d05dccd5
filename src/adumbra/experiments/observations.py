"""What a study of information needs of a case: intensities, the target's mask, and the brain with its uncertainty."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
from scipy import ndimage

from adumbra.core.case import Case
from adumbra.core.errors import MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.options import ComputeConfig, InferenceConfig, Registration
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import Mask, Modality, Target, Volume
from adumbra.experiments.regions import BrainContext
from adumbra.pipeline import predict_case
from adumbra.preprocessing.normalisation import normalise
from adumbra.preprocessing.pipeline import preprocess, reference_modality
from adumbra.segmentation_model import load_model
from adumbra.training.cache import CaseSource

_HYPOINTENSE: tuple[Modality, ...] = ("swi", "adc")
"""Modalities in which thrombus or lesion is dark."""


@dataclass(frozen=True)
class ObservationOptions:
    """How the voxels of a case are described.

    Attributes:
        target: The target, ``"lesion"`` or ``"thrombus"``.
        modalities: The modalities of all sources.
        predicted: Predict the case, for its predictive entropy.
        weights: Weights of the prediction; empty for those of the target.
        draws: Posterior draws of the prediction.
        seed: Seed of the prediction.
        registration: Whether scans on other grids are registered.
        reach_mm: Describe a voxel by the darkest value of SWI and ADC, and the brightest of other modalities, in a cube
            of this half width in millimetres; 0 takes the voxel's own value.
        sided: Describe a voxel by its difference from the mirrored voxel in the other hemisphere.
    """

    target: Target
    modalities: tuple[Modality, ...]
    predicted: bool = False
    weights: tuple[str, ...] = ()
    draws: int = 20
    seed: int = 0
    registration: Registration = "auto"
    reach_mm: float = 0.0
    sided: bool = False


@dataclass(frozen=True, eq=False)
class CaseObservations:
    """The observations of one case, on one grid.

    Attributes:
        name: Name of the case.
        intensities: For each modality, (X, Y, Z) in network units on ``context.grid``, described as
            ``ObservationOptions`` say.
        target_mask: (X, Y, Z), the mask of the target.
        context: Brain, grid, and the predictive entropy where the case was predicted.
        native: The stored grid of the reference scan, for maps.
    """

    name: str
    intensities: Mapping[Modality, np.ndarray]
    target_mask: Mask
    context: BrainContext
    native: Grid


def observe_cases(
    cases: Sequence[CaseSource], options: ObservationOptions, *, workers: int = 1, progress: Progress = quiet
) -> list[CaseObservations]:
    """The observations of all cases, in their order.

    Args:
        cases: The cases.
        options: How voxels are described.
        workers: Number of processes.
        progress: Reports the cases that are read.

    Raises:
        MissingInput: There is no case, or one lacks a mask of the target or a source.
        InputRejected: A case cannot be used.
    """
    if not cases:
        raise MissingInput("cases", expected="at least one", found="none", do="name a folder of cases")
    track = partial(progress.track, what="Reading cases", total=len(cases))
    if workers < 2:
        return [observe_case(case, options) for case in track(cases)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(track(pool.map(partial(observe_case, options=options), cases)))


def observe_case(source: CaseSource, options: ObservationOptions) -> CaseObservations:
    """The observations of a case, which is opened and resampled to one grid.

    Raises:
        MissingInput: The case lacks a mask of the target or a modality.
        InputRejected: The case cannot be used.
    """
    case = source.open()
    if case.truth(options.target) is None:
        raise MissingInput(
            case.name, expected=f"a mask of the {options.target}", found="none", do="exclude the case, or segment it"
        )
    aligned, entropy = _align(case, options)
    missing = [modality for modality in options.modalities if modality not in aligned.scans]
    if missing:
        raise MissingInput(
            case.name, expected=f"the sources {', '.join(options.modalities)}", found=f"no {', '.join(missing)}",
            do="exclude the case, or choose other sources",
        )  # fmt: skip
    units = normalise(aligned)
    truth = aligned.truth(options.target)
    assert truth is not None  # the case had a mask before it was aligned
    context = BrainContext(aligned.masks["brain"].data, aligned.grid, entropy)
    intensities = {
        modality: describe_voxels(units.scans[modality].data, context, options, dark=modality in _HYPOINTENSE)
        for modality in options.modalities
    }
    reference = aligned.scans[reference_modality(case, options.target)]
    return CaseObservations(case.name, intensities, truth.data, context, reference.native)


def describe_voxels(image: Volume, context: BrainContext, options: ObservationOptions, *, dark: bool) -> Volume:
    """The value that describes each voxel; the image itself by default.

    Args:
        image: (X, Y, Z).
        context: The brain, which has the mirrored positions.
        options: Their ``reach_mm`` and ``sided``.
        dark: Take the least value within reach; otherwise the greatest.
    """
    size = [2 * int(options.reach_mm / spacing) + 1 for spacing in context.grid.spacing_mm]
    if max(size) > 1:
        image = (ndimage.minimum_filter if dark else ndimage.maximum_filter)(image, size)
    if options.sided:
        flat, index = image.ravel(), context.mirror_index
        image = image - np.where(index >= 0, flat[index], flat).reshape(image.shape)
    return image


def _align(case: Case, options: ObservationOptions) -> tuple[Case, np.ndarray | None]:
    """The case on one grid, and the entropy of its prediction where the options ask for it."""
    if not options.predicted:
        aligned, _ = preprocess(
            case,
            target=options.target,
            modalities=options.modalities,
            spacing_mm=4.0,
            registration=options.registration,
        )
        return aligned, None
    config = InferenceConfig(
        weights=options.weights or None, draws=options.draws, seed=options.seed, calibration="none",
        registration=options.registration, compute=ComputeConfig(threads=1),
    )  # fmt: skip
    prediction = predict_case(case, load_model(options.target, config))
    return prediction.case, prediction.maps.entropy
