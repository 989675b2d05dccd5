"""Fits the decision of candidates on calibration cases, and stores it beside the weights of the second look."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan, nan
from pathlib import Path
from typing import Literal

from adumbra.core.atomic_io import write_atomically
from adumbra.core.candidates import CandidateRule
from adumbra.core.errors import InputRejected, MissingInput, WeightsRejected
from adumbra.uncertainty.calibration.base import ProbabilityCalibration
from adumbra.uncertainty.calibration.calibrators import CALIBRATIONS, fit_isotonic, fit_vector_scaling
from adumbra.uncertainty.calibration.candidates import (
    CandidateCalibration,
    CandidateCase,
    MissedBlocks,
    accept_threshold,
    candidate_probabilities,
    candidate_scores,
    missed_blocks,
    vein_limit,
)
from adumbra.uncertainty.calibration.samples import Voxels

FORMAT = "adumbra-decision-1"
Method = Literal["logistic", "isotonic"]
"""Map from score to probability."""
METHODS: Mapping[Method, Callable[[Voxels], ProbabilityCalibration]] = {
    "logistic": fit_vector_scaling,
    "isotonic": fit_isotonic,
}


@dataclass(frozen=True)
class DecisionLimits:
    """What a decision is fitted to.

    Attributes:
        method: Map from score to probability.
        most_false_positives: Largest number of accepted false candidates per case, over all cases.
        most_lost: Largest share of the true candidates that the veto of veins may drop.
    """

    method: Method = "logistic"
    most_false_positives: float = 0.5
    most_lost: float = 0.01


@dataclass(frozen=True)
class DecisionIdentity:
    """What a decision belongs to; see ``candidates.CandidateCalibration``."""

    weights: tuple[str, ...]
    posterior: str
    second_look: tuple[str, ...]
    rule: CandidateRule


def fit_decision(
    cases: Sequence[CandidateCase], identity: DecisionIdentity, limits: DecisionLimits | None = None
) -> CandidateCalibration:
    """Fits all parts of a decision.

    Args:
        cases: Held-out cases with and without a visible clot.
        identity: Weights and candidates that they were computed with.
        limits: What is fitted.

    Raises:
        InputRejected: All cases have a clot, or none has.
        ImplausibleValues: The candidates are not of both kinds.
    """
    limits = limits or DecisionLimits()
    with_clot = sum(case.clots > 0 for case in cases)
    if not 0 < with_clot < len(cases):
        raise InputRejected(
            "cases",
            expected="cases with a visible clot and cases without one",
            found=f"{with_clot} of {len(cases)} with a clot",
            do="calibrate on a cohort that has both",
        )
    excess = vein_limit(cases, most_lost=limits.most_lost)
    probability = METHODS[limits.method](candidate_scores(cases, excess))
    rows = [candidate_probabilities(case, probability, excess) for case in cases]
    threshold = accept_threshold(cases, rows, most_false_positives=limits.most_false_positives)
    nothing = [(case, row) for case, row in zip(cases, rows, strict=True) if not any(p >= threshold for p in row)]
    missed = missed_blocks(
        [case for case, _ in nothing], [max((p for p in row if not isnan(p)), default=0.0) for _, row in nothing]
    )
    false, detected = _counts(cases, rows, threshold)
    clots = sum(case.clots for case in cases)
    return CandidateCalibration(
        identity.weights, identity.posterior, identity.second_look, identity.rule, excess, probability, threshold,
        missed, false / len(cases), detected / clots if clots else nan, tuple(case.name for case in cases),
    )  # fmt: skip


def _counts(cases: Sequence[CandidateCase], rows: Sequence[Sequence[float]], threshold: float) -> tuple[int, int]:
    """Number of accepted false candidates, and of clots with an accepted candidate."""
    false, detected = 0, 0
    for case, row in zip(cases, rows, strict=True):
        accepted = [c.clot for p, c in zip(row, case.candidates, strict=True) if p >= threshold]
        false += accepted.count(0)
        detected += len(set(accepted) - {0})
    return false, detected


def write_decision(path: Path, decision: CandidateCalibration) -> str:
    """Writes a decision atomically as JSON; the names of the cases are stored once.

    Returns:
        sha256 of the file.

    Raises:
        OutputRefused: The file cannot be written.
    """
    data = (json.dumps(decision_as_json(decision), indent=1) + "\n").encode()
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def decision_as_json(decision: CandidateCalibration) -> dict[str, object]:
    """Plain values of a decision, with null in place of nan."""
    return {
        "format": FORMAT,
        "weights": list(decision.weights),
        "posterior": decision.posterior,
        "second_look": list(decision.second_look),
        "rule": asdict(decision.rule),
        "vein_excess": decision.vein_excess,
        "probability": decision.probability.as_json() | {"cases": []},
        "threshold": decision.threshold,
        "missed": None if decision.missed is None else asdict(decision.missed),
        "false_positives": decision.false_positives,
        "detected": None if isnan(decision.detected) else decision.detected,
        "cases": list(decision.cases),
    }


def read_decision(path: Path) -> CandidateCalibration:
    """Reads a file of ``write_decision``.

    Raises:
        MissingInput: There is no such file.
        WeightsRejected: The file is damaged, or is not a decision.
    """
    if not path.is_file():
        raise MissingInput(path.name, expected="a file of a decision", found="no such file", do="check the path")
    try:
        plain = json.loads(path.read_text("utf-8"))
        if plain.pop("format") != FORMAT:
            raise ValueError("another format")
        cases, parts = tuple(plain["cases"]), plain["probability"]
        missed = plain["missed"]
        return CandidateCalibration(
            tuple(plain["weights"]), plain["posterior"], tuple(plain["second_look"]), CandidateRule(**plain["rule"]),
            plain["vein_excess"], CALIBRATIONS[parts["kind"]].from_json(parts | {"cases": list(cases)}),
            plain["threshold"],
            None if missed is None else MissedBlocks(**{key: tuple(row) for key, row in missed.items()}),
            plain["false_positives"], nan if plain["detected"] is None else plain["detected"], cases,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, InputRejected) as error:
        raise WeightsRejected(
            path.name,
            expected="a decision as adumbra writes it",
            found=f"{type(error).__name__}: {error}",
            do="calibrate the second look again",
        ) from error


def require_decision_for(decision: CandidateCalibration, identity: DecisionIdentity) -> None:
    """Refuses a decision of other weights, of another posterior, or of other candidates.

    Raises:
        WeightsRejected: The decision was fitted for something else.
    """
    fitted = DecisionIdentity(decision.weights, decision.posterior, decision.second_look, decision.rule)
    for name, required in asdict(identity).items():
        if asdict(fitted)[name] != required:
            raise WeightsRejected(
                "decision",
                expected=f"one fitted for {name} {_short(required)}",
                found=_short(asdict(fitted)[name]),
                do="calibrate the second look with these weights and this posterior",
            )


def _short(value: object) -> str:
    return ", ".join(str(part)[:12] for part in value) if isinstance(value, tuple) else str(value)
