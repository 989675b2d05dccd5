"""Calibration of a posterior on held-out cases, which go through the same pipeline as any case."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from adumbra.core.errors import InputRejected
from adumbra.core.options import InferenceConfig
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import Target
from adumbra.experiments.calibration_samples import CaseSample, model_identity, read_sample, sample_of, write_sample
from adumbra.segmentation_model import SegmentationModel, load_model
from adumbra.training.cache import CaseSource
from adumbra.uncertainty.calibration.base import ProbabilityCalibration
from adumbra.uncertainty.calibration.calibrators import fit_isotonic, fit_temperature, fit_vector_scaling
from adumbra.uncertainty.calibration.case_score import LEAST_BLOCK, fit_score
from adumbra.uncertainty.calibration.conformal import controlled_threshold
from adumbra.uncertainty.calibration.io import Calibration
from adumbra.uncertainty.calibration.samples import Voxels, pool_voxels
from adumbra.uncertainty.calibration.volume_fit import IntervalMethod, fit_volume

Method = Literal["temperature", "vector", "isotonic"]
METHODS: Mapping[Method, Callable[[Voxels], ProbabilityCalibration]] = {
    "temperature": fit_temperature,
    "vector": fit_vector_scaling,
    "isotonic": fit_isotonic,
}
_SPLIT = 1 << 32  # spawn key of the division of the cases, beyond the number of any case


@dataclass(frozen=True)
class CalibrationMethods:
    """What is fitted.

    Attributes:
        probability: Map from probability to calibrated probability.
        interval: Method of the volume interval, see ``uncertainty.calibration.volume_fit``; ``"auto"`` chooses it by
            cross-validation.
        alpha: Share of the target that the mask may miss on average over cases, and share of cases whose volume
            interval may miss the true volume.
        seed: Seed of the division of the cases.
    """

    probability: Method = "isotonic"
    interval: IntervalMethod = "auto"
    alpha: float = 0.1
    seed: int = 0


def calibrate(
    cases: Sequence[CaseSource],
    *,
    target: Target,
    config: InferenceConfig | None = None,
    method: Method = "isotonic",
    interval: IntervalMethod = "auto",
    alpha: float = 0.1,
    work: Path | None = None,
    progress: Progress = quiet,
) -> Calibration:
    """Fits the calibration of a posterior on cases that its weights were not trained on.

    Args:
        cases: Cases with true masks, which may be empty.
        target: Target of the masks.
        config: Weights, posterior, draws and seed, as ``pipeline.predict`` takes them; several weights are an ensemble.
            The volume interval and the case score are valid for this number of draws only. ``config.calibration`` is
            ignored.
        method: Method of the map from probability to calibrated probability.
        interval: Method of the volume interval; ``"auto"`` chooses it by cross-validation.
        alpha: Share of the target that the mask may miss on average over cases, and share of cases whose volume
            interval may miss the true volume.
        work: Folder of one file for each predicted case; cases that are there are not predicted again. None writes
            none.
        progress: Shows the progress over cases.

    Raises:
        MissingInput: A case has no true mask.
        InputRejected: There are too few cases for ``alpha`` or the method, none of them has the target, the number of
            draws is not fixed, or the folder is of other weights or settings.
        WeightsRejected: The weights cannot be used.
    """
    config = replace(config or InferenceConfig(), calibration="none")
    if config.draws == "auto":
        raise InputRejected("draws", expected="a number", found="auto", do="give the number of draws of predictions")
    model = load_model(target, config)
    samples = []
    for number, ref in enumerate(progress.track(cases, what="Predicting held-out cases", total=len(cases))):
        samples.append(_sample(ref, model, generator=np.random.default_rng([config.seed, number]), work=work))
    return fit_calibration(samples, model, CalibrationMethods(method, interval, alpha, config.seed))


def fit_calibration(
    samples: Sequence[CaseSample], model: SegmentationModel, methods: CalibrationMethods
) -> Calibration:
    """Fits all parts of a calibration on the samples of cases; errors are those of ``calibrate``.

    The meaning of the case score needs ``case_score.LEAST_BLOCK`` cases with two draws or more. It is left out with
    fewer.
    """
    cases = tuple(sample.case for sample in samples)
    if not any(case.true_ml > 0 for case in cases):
        raise InputRejected(
            "cases", expected=f"at least one with a {model.target}", found="none", do="give cases that have the target"
        )
    names = tuple(case.name for case in cases)
    probability = METHODS[methods.probability](pool_voxels(*(sample.voxels for sample in samples)))
    # The threshold is fitted to uncalibrated probabilities; ``predict`` converts it together with the probabilities.
    threshold = controlled_threshold([sample.rates for sample in samples], cases=names, alpha=methods.alpha)
    volume = fit_volume(
        cases,
        generator=np.random.default_rng([methods.seed, _SPLIT]),
        method=methods.interval,
        alpha=methods.alpha,
    )
    draws = len(cases[0].features.draw_ml)
    return Calibration(
        target=model.target,
        posterior=model.posterior_name,
        draws=draws,
        weights=model.weights,
        probability=probability,
        threshold=threshold,
        volume=volume.interval,
        cases={sample.case.name: sample.sha256 for sample in samples},
        score=fit_score(cases) if len(cases) >= LEAST_BLOCK and draws > 1 else None,
        winkler=volume.winkler,
        features=cases,
    )


def _sample(
    ref: CaseSource, model: SegmentationModel, *, generator: np.random.Generator, work: Path | None
) -> CaseSample:
    """The sample of a case, from its file where it was predicted before."""
    if work is None:
        return sample_of(ref.open(), model, generator=generator)
    path, identity = work / f"{ref.name}.npz", model_identity(model)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sample(path, sample_of(ref.open(), model, generator=generator), identity)
    return read_sample(path, identity)
