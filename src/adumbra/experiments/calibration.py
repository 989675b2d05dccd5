"""Calibration on held-out cases: they are read as any case is, and what their truth says is fitted."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from adumbra.core.case import Case
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.progress import Progress, quiet
from adumbra.core.results import VolumeDraws
from adumbra.core.types import Target
from adumbra.inference.windowed_inference import InferenceConfig
from adumbra.networks.registry import load
from adumbra.pipeline import Registration, read
from adumbra.posterior.registry import default_posterior, posterior_of
from adumbra.preprocessing.pipeline import reference_modality
from adumbra.training.cache import CaseRef
from adumbra.uncertainty.calibration.base import FittedOnCases
from adumbra.uncertainty.calibration.calibrators import fitted_isotonic, fitted_temperature, fitted_vector
from adumbra.uncertainty.calibration.conformal import controlled_threshold, false_negative_rates, fitted_interval
from adumbra.uncertainty.calibration.io import Calibration
from adumbra.uncertainty.calibration.samples import Voxels, pooled, voxels_of

Method = Literal["temperature", "vector", "isotonic"]
METHODS: Mapping[Method, Callable[[Voxels], FittedOnCases]] = {
    "temperature": fitted_temperature,
    "vector": fitted_vector,
    "isotonic": fitted_isotonic,
}
_MOST = 20_000  # Voxels of a case, half of them of the target where it has so many.


def calibrated(
    cases: Sequence[CaseRef],
    *,
    target: Target,
    weights: Sequence[str | Path],
    posterior: str = "",
    method: Method = "isotonic",
    alpha: float = 0.1,
    draws: int = 20,
    seed: int = 0,
    registration: Registration = "auto",
    inference: InferenceConfig | None = None,
    progress: Progress = quiet,
) -> Calibration:
    """The calibration of a posterior, fitted on cases that its weights were not trained on.

    Args:
        cases: With outlines; an empty one is an outline too.
        target: What is outlined.
        weights: As ``road.predict`` takes them; several are an ensemble.
        posterior: Its name; empty takes the one that the weights were made for.
        method: Of the map from probability to probability.
        alpha: Share of the target that the mask may miss on average, and of cases whose interval may miss the volume.
        draws: Of each case; the interval of the volume holds for so many only.
        seed: Of the draws, and of which voxels are taken.
        registration: Whether scans on other grids are registered.
        inference: How it is computed.
        progress: Watches the cases.

    Raises:
        MissingInput: A case has no outline.
        InputRejected: There are too few cases for ``alpha``, or none of them has the target.
        WeightsRejected: The weights cannot be used.
    """
    networks = [load(name) for name in weights]
    drawn_from = posterior_of(networks, posterior, target=target, inference=inference)
    voxels, inside, volumes, true_ml, known = [], [], [], [], {}
    for number, ref in enumerate(progress.track(cases, what="Reading held-out cases", total=len(cases))):
        case = ref.open()
        _require_outlined(case, target)
        reading = read(
            case, networks[0], drawn_from, target=target, draws=draws, seed=seed, registration=registration,
            threshold=networks[0].card.threshold, high_threshold=networks[0].card.high_threshold,
        )  # fmt: skip
        truth = reading.case.masks[target].data
        brain, probability = reading.case.masks["brain"].data, reading.maps.probability
        generator = np.random.default_rng([seed, number])
        voxels.append(voxels_of(probability, truth, case=case.name, within=brain, most=_MOST, generator=generator))
        inside.append(probability[truth])
        volumes.append(reading.draws)
        true_ml.append(float(np.count_nonzero(truth)) * reading.maps.grid.voxel_ml)
        known[case.name] = case.scan(reference_modality(case, target)).sha256
    return _fitted(
        voxels, inside, volumes, true_ml, known, target=target, method=method, alpha=alpha, draws=draws,
        posterior=posterior or default_posterior(networks[0]), weights=tuple(n.card.sha256 for n in networks),
    )  # fmt: skip


def _require_outlined(case: Case, target: Target) -> None:
    if case.truth(target) is None:
        raise MissingInput(
            case.name, expected=f"an outline of the {target}", found="none", do="leave the case out, or outline it"
        )


def _fitted(
    voxels: Sequence[Voxels],
    inside: Sequence[np.ndarray],
    volumes: Sequence[VolumeDraws],
    true_ml: Sequence[float],
    known: Mapping[str, str],
    *,
    target: Target,
    method: Method,
    alpha: float,
    draws: int,
    posterior: str,
    weights: tuple[str, ...],
) -> Calibration:
    if not any(volume > 0 for volume in true_ml):
        raise InputRejected(
            "cases", expected=f"at least one with a {target}", found="none", do="give cases that have the target"
        )
    names = tuple(known)
    probability = METHODS[method](pooled(*voxels))
    interval = fitted_interval(volumes, true_ml, cases=names, alpha=alpha)
    # Of the probabilities as they are: a threshold that predict takes, which moves it with the map.
    rates = [false_negative_rates(p, np.ones(p.shape, dtype=bool)) for p in inside]
    threshold = controlled_threshold(rates, cases=names, alpha=alpha)
    return Calibration(target, posterior, draws, weights, probability, threshold, interval, known)
