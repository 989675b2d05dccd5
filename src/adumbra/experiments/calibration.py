"""Calibration of a posterior on held-out cases, which go through the same pipeline as any case."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from adumbra.core.case import Case
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.options import InferenceConfig
from adumbra.core.progress import Progress, quiet
from adumbra.core.results import VolumeDraws
from adumbra.core.types import Target
from adumbra.pipeline import predict_case
from adumbra.preprocessing.pipeline import reference_modality
from adumbra.segmentation_model import SegmentationModel, load_model
from adumbra.training.cache import CaseSource
from adumbra.uncertainty.calibration.base import ProbabilityCalibration
from adumbra.uncertainty.calibration.calibrators import fit_isotonic, fit_temperature, fit_vector_scaling
from adumbra.uncertainty.calibration.conformal import controlled_threshold, false_negative_rates, fit_volume_interval
from adumbra.uncertainty.calibration.io import Calibration
from adumbra.uncertainty.calibration.samples import Voxels, pool_voxels, sample_voxels

Method = Literal["temperature", "vector", "isotonic"]
METHODS: Mapping[Method, Callable[[Voxels], ProbabilityCalibration]] = {
    "temperature": fit_temperature,
    "vector": fit_vector_scaling,
    "isotonic": fit_isotonic,
}
_MAX_VOXELS = 20_000  # voxels of a case, half of them of the target where it has so many


def calibrate(
    cases: Sequence[CaseSource],
    *,
    target: Target,
    config: InferenceConfig | None = None,
    method: Method = "isotonic",
    alpha: float = 0.1,
    progress: Progress = quiet,
) -> Calibration:
    """Fits the calibration of a posterior on cases that its weights were not trained on.

    Args:
        cases: Cases with true masks, which may be empty.
        target: Target of the masks.
        config: Weights, posterior, draws and seed, as ``pipeline.predict`` takes them. The volume interval is valid for
            this number of draws only. ``config.calibration`` is ignored.
        method: Method of the map from probability to calibrated probability.
        alpha: Share of the target that the mask may miss on average over cases, and share of cases whose volume
            interval may miss the true volume.
        progress: Shows the progress over cases.

    Raises:
        MissingInput: A case has no true mask.
        InputRejected: There are too few cases for ``alpha``, none of them has the target, or the number of draws is
            not fixed.
        WeightsRejected: The weights cannot be used.
    """
    config = replace(config or InferenceConfig(), calibration="none")
    if config.draws == "auto":
        raise InputRejected("draws", expected="a number", found="auto", do="give the number of draws of predictions")
    model = load_model(target, config)
    voxels, inside, volumes, true_ml, fitted_on = [], [], [], [], {}
    for number, ref in enumerate(progress.track(cases, what="Predicting held-out cases", total=len(cases))):
        case = ref.open()
        _require_mask(case, target)
        prediction = predict_case(case, model)
        truth = prediction.case.masks[target].data
        brain, probability = prediction.case.masks["brain"].data, prediction.maps.probability
        generator = np.random.default_rng([config.seed, number])
        voxels.append(
            sample_voxels(probability, truth, case=case.name, within=brain, most=_MAX_VOXELS, generator=generator)
        )
        inside.append(probability[truth])
        volumes.append(prediction.draws)
        true_ml.append(float(np.count_nonzero(truth)) * prediction.maps.grid.voxel_ml)
        fitted_on[case.name] = case.scan(reference_modality(case, target)).sha256
    return _fit(voxels, inside, volumes, true_ml, fitted_on, model=model, method=method, alpha=alpha)


def _require_mask(case: Case, target: Target) -> None:
    if case.truth(target) is None:
        raise MissingInput(
            case.name, expected=f"a mask of the {target}", found="none", do="leave the case out, or segment it"
        )


def _fit(
    voxels: Sequence[Voxels],
    inside: Sequence[np.ndarray],
    volumes: Sequence[VolumeDraws],
    true_ml: Sequence[float],
    fitted_on: Mapping[str, str],
    *,
    model: SegmentationModel,
    method: Method,
    alpha: float,
) -> Calibration:
    if not any(volume > 0 for volume in true_ml):
        raise InputRejected(
            "cases", expected=f"at least one with a {model.target}", found="none", do="give cases that have the target"
        )
    names = tuple(fitted_on)
    probability = METHODS[method](pool_voxels(*voxels))
    interval = fit_volume_interval(volumes, true_ml, cases=names, alpha=alpha)
    # The threshold is fitted to uncalibrated probabilities; ``predict`` converts it together with the probabilities.
    rates = [false_negative_rates(p, np.ones(p.shape, dtype=bool)) for p in inside]
    threshold = controlled_threshold(rates, cases=names, alpha=alpha)
    weights = tuple(network.card.sha256 for network in model.networks)
    return Calibration(
        model.target,
        model.posterior_name,
        len(volumes[0].volumes_ml),
        weights,
        probability,
        threshold,
        interval,
        fitted_on,
    )
