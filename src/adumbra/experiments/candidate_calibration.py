"""Calibration of the decision of candidates on held-out cases, with and without a visible clot.

Each case goes through the first pass and the second look, as in a prediction; candidates in veins are looked at too, so
that the veto can be fitted with the rest. With a folder, each case is computed once.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from adumbra.core.atomic_io import write_atomically
from adumbra.core.errors import InputRejected
from adumbra.core.options import InferenceConfig
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import Target
from adumbra.networks.registry import load
from adumbra.posterior.second_look import second_look_of
from adumbra.segmentation_model import SegmentationModel, load_model
from adumbra.training.cache import CaseSource
from adumbra.training.second_look.examples import searched_case
from adumbra.uncertainty.calibration.candidate_fit import DecisionIdentity, DecisionLimits, fit_decision
from adumbra.uncertainty.calibration.candidates import CandidateCalibration, CandidateCase, ScoredCandidate


def calibrate_candidates(
    cases: Sequence[CaseSource],
    *,
    config: InferenceConfig,
    target: Target = "thrombus",
    limits: DecisionLimits | None = None,
    work: Path | None = None,
    workers: int = 1,
    progress: Progress = quiet,
) -> CandidateCalibration:
    """Fits the decision of candidates.

    Args:
        cases: Cases with true masks that neither pass was trained on; some masks must be empty.
        config: Weights of the first pass and of the second look, as ``pipeline.predict`` takes them.
        target: Target of the masks.
        limits: What is fitted.
        work: Folder of the computed cases, so that a run that was stopped is continued; None keeps none.
        workers: Number of processes.
        progress: Shows the progress over cases.

    Raises:
        InputRejected: All cases have a clot or none has, a case cannot be used, or a stored one is of other weights.
        MissingInput: A case has no true mask.
        ImplausibleValues: The candidates are not of both kinds.
        WeightsRejected: The weights cannot be used.
    """
    model = undecided_model(target, config)
    identity = decision_identity(model)
    label = {"what": "Looking at candidates of held-out cases", "total": len(cases)}
    if workers <= 1:
        rows = [_computed(case, model, identity, work) for case in progress.track(cases, **label)]  # type: ignore[arg-type]
    else:
        compute, context = partial(_computed_in_worker, identity=identity, work=work), get_context("spawn")
        with ProcessPoolExecutor(
            workers, mp_context=context, initializer=_load_in_worker, initargs=(target, config)
        ) as pool:
            rows = list(progress.track(pool.map(compute, cases), **label))  # type: ignore[arg-type]
    return fit_decision(rows, identity, limits)


def undecided_model(target: Target, config: InferenceConfig) -> SegmentationModel:
    """The model of a configuration, whose second look has no decision, also where a file of one exists.

    Raises:
        WeightsRejected: The weights cannot be used.
        InputRejected: The configuration has no second look.
    """
    model = load_model(target, replace(config, calibration="none", second_look="none"))
    named = config.second_look
    if named == "beside":
        named = model.networks[0].second_look or "none"
    if named == "none":
        raise InputRejected(
            "second look", expected="weights of a second look", found="none", do="name them in the configuration"
        )
    networks = [load(name) for name in ([named] if isinstance(named, str | Path) else named)]
    return replace(model, second_look=second_look_of(networks, None, config.compute))


def decision_identity(model: SegmentationModel) -> DecisionIdentity:
    """What a decision of a model with a second look belongs to."""
    look = model.second_look
    assert look is not None  # ``undecided_model`` gives one
    weights = tuple(network.card.sha256 for network in model.networks)
    return DecisionIdentity(weights, model.posterior_name, tuple(n.card.sha256 for n in look.networks), look.rule)


def candidate_case(source: CaseSource, model: SegmentationModel) -> CandidateCase:
    """The candidates of a case with their scores, and the clots that they match."""
    look, case = model.second_look, searched_case(source, model)
    assert look is not None  # ``searched_case`` refuses a model without one
    candidates = tuple(
        ScoredCandidate(look.look(candidate, case.maps, case.read).score, candidate.features.vein_excess, clot)
        for candidate, clot in zip(case.candidates, case.clots, strict=True)
    )
    return CandidateCase(source.name, case.clot_count, candidates)


_model_of_worker: list[SegmentationModel] = []  # of a worker process, which loads it once


def _load_in_worker(target: Target, config: InferenceConfig) -> None:
    _model_of_worker.append(undecided_model(target, config))


def _computed_in_worker(source: CaseSource, identity: DecisionIdentity, work: Path | None) -> CandidateCase:
    return _computed(source, _model_of_worker[0], identity, work)


def _computed(
    source: CaseSource, model: SegmentationModel, identity: DecisionIdentity, work: Path | None
) -> CandidateCase:
    """The case, from its file where it was computed before."""
    if work is None:
        return candidate_case(source, model)
    path, facts = work / f"{source.name}.candidates.json", json.loads(json.dumps(asdict(identity)))
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"identity": facts, **asdict(candidate_case(source, model))}
        write_atomically(path, json.dumps(content).encode())
    stored = json.loads(path.read_text("utf-8"))
    if stored["identity"] != facts:
        raise InputRejected(
            path.name,
            expected=f"candidates of {facts}",
            found=f"those of {stored['identity']}",
            do="use another folder for these weights",
        )
    candidates = tuple(ScoredCandidate(**row) for row in stored["candidates"])
    return CandidateCase(stored["name"], stored["clots"], candidates)
