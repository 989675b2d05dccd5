"""Calibration files beside the weights: what was fitted, for which weights and posterior, and on which cases."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from adumbra.core.atomic_io import write_atomically
from adumbra.core.errors import InputRejected, MissingInput, WeightsRejected
from adumbra.core.legacy import current_value
from adumbra.core.types import Target
from adumbra.uncertainty.calibration.base import FittedOnCases, ProbabilityCalibration, VolumeCalibration
from adumbra.uncertainty.calibration.calibrators import CALIBRATIONS
from adumbra.uncertainty.calibration.case_score import ScoreCalibration
from adumbra.uncertainty.calibration.conformal import ControlledThreshold
from adumbra.uncertainty.calibration.volume_fit import VOLUME_CALIBRATIONS, CalibrationCase

Part = TypeVar("Part", bound=FittedOnCases)

FORMAT = "adumbra-calibration-1"
FORMAT_WITH_FEATURES = "adumbra-calibration-2"
"""The format of files that hold a case score, the features of the cases, or the scores of the interval's choice."""
_TILT = 1e-3  # slope given to a map with constant parts, so that it preserves the order of voxels and every mask


@dataclass(frozen=True)
class Calibration:
    """Calibration of one posterior of some weights.

    Attributes:
        target: Target of the weights.
        posterior: Name of the posterior approximation.
        draws: Number of posterior draws of each case.
        weights: sha256 of the weights, in the order of the ensemble members.
        probability: Map from probability to calibrated probability; None where none was fitted.
        threshold: Threshold with a controlled false-negative rate; None where none was fitted.
        volume: Calibrated volume interval; None where none was fitted.
        cases: Cases of the fit: the sha256 of the scan that the mask lies on by name, empty if it was never a file.
        score: Meaning of the case score; None where none was fitted.
        winkler: Cross-validated Winkler score of each interval method on the logarithmic scale; empty where the method
            was given.
        features: Features and truth of each case, with which every interval method can be fitted again.
    """

    target: Target
    posterior: str
    draws: int
    weights: tuple[str, ...]
    probability: ProbabilityCalibration | None = None
    threshold: ControlledThreshold | None = None
    volume: VolumeCalibration | None = None
    cases: Mapping[str, str] = field(default_factory=dict)
    score: ScoreCalibration | None = None
    winkler: Mapping[str, float] = field(default_factory=dict)
    features: tuple[CalibrationCase, ...] = ()

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """Calibrated probability, of the same shape and type, in the same order of voxels.

        Raises:
            InputRejected: The map depends on the distance band of a voxel.
        """
        if self.probability is None:
            return probability
        calibrated = self.probability.apply(probability)
        if not self.probability.strictly_increasing:
            calibrated = (1.0 - _TILT) * calibrated.astype(np.float64) + _TILT * probability
        return calibrated.astype(probability.dtype, copy=False)

    def calibrated_threshold(self, threshold: float) -> float:
        """Threshold of the calibrated probability that gives the same mask as this one of the uncalibrated."""
        return float(self.apply(np.array([threshold]))[0])

    def as_json(self, *, features: bool = True) -> dict[str, Any]:
        """Plain values for ``json.dumps``; the names of the cases are stored once.

        Args:
            features: Whether the features of the cases are included; a manifest leaves them out.
        """
        extended = bool(self.score is not None or self.winkler or self.features)
        plain = {
            "format": FORMAT_WITH_FEATURES if extended else FORMAT,
            "target": self.target,
            "posterior": self.posterior,
            "draws": self.draws,
            "weights": list(self.weights),
            "probability": _plain(self.probability),
            "threshold": _plain(self.threshold),
            "volume": _plain(self.volume),
            "cases": dict(self.cases),
        }
        if extended:
            plain |= {"score": _plain(self.score), "winkler": dict(self.winkler)}
            plain |= {"features": [case.as_json() for case in self.features]} if features else {}
        return plain


def require_for(calibration: Calibration, *, target: str, posterior: str, weights: tuple[str, ...]) -> None:
    """Refuses a calibration of other weights, of another posterior, or of another target.

    Raises:
        WeightsRejected: The calibration was fitted for something else.
    """
    fitted: Mapping[str, object]
    fitted = {"target": calibration.target, "posterior": calibration.posterior, "weights": calibration.weights}
    for name, required in {"target": target, "weights": weights, "posterior": posterior}.items():
        if fitted[name] != required:
            raise WeightsRejected(
                "calibration",
                expected=f"one fitted for the {name} {_short(required)}",
                found=_short(fitted[name]),
                do="run adumbra calibrate with these weights and this posterior, or give --no-calibration",
            )


def write_calibration(path: Path, calibration: Calibration) -> str:
    """Writes a calibration atomically.

    Returns:
        sha256 of the file.

    Raises:
        OutputRefused: The file cannot be written.
    """
    plain = calibration.as_json()
    rows = plain.pop("features", [])
    text = json.dumps(plain, indent=1)
    if rows:  # a line for each case
        text = text.removesuffix("\n}") + ',\n "features": [\n  '
        text += ",\n  ".join(json.dumps(row) for row in rows) + "\n ]\n}"
    data = f"{text}\n".encode()
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def read_calibration(path: Path) -> Calibration:
    """Reads a file of ``write_calibration``.

    Raises:
        MissingInput: There is no such file.
        WeightsRejected: The file is damaged, or is not a calibration.
    """
    if not path.is_file():
        raise MissingInput(
            path.name, expected="a file that adumbra calibrate wrote", found="no such file", do="check the path"
        )
    try:
        plain = json.loads(path.read_text("utf-8"))
        if plain.pop("format") not in (FORMAT, FORMAT_WITH_FEATURES):
            raise ValueError("another format")
        return Calibration(
            target=plain["target"],
            posterior=current_value("posterior", plain["posterior"]),
            draws=plain["draws"],
            weights=tuple(plain["weights"]),
            probability=_part(plain, "probability", CALIBRATIONS),
            threshold=_part(plain, "threshold", {"ControlledThreshold": ControlledThreshold}),
            volume=_part(plain, "volume", VOLUME_CALIBRATIONS),
            cases=plain["cases"],
            score=_part(plain, "score", {"ScoreCalibration": ScoreCalibration}),
            winkler=plain.get("winkler", {}),
            features=tuple(CalibrationCase.from_json(row) for row in plain.get("features", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError, InputRejected) as error:
        raise WeightsRejected(
            path.name,
            expected="a calibration as adumbra calibrate writes it",
            found=f"{type(error).__name__}: {error}",
            do="run adumbra calibrate again",
        ) from error


def _part(plain: Mapping[str, Any], name: str, kinds: Mapping[str, type[Part]]) -> Part | None:
    """One fitted part of a parsed file, with the names of the cases that the file stores once."""
    if plain.get(name) is None and (name == "score" or plain[name] is None):  # files of format 1 have no score
        return None
    return kinds[plain[name]["kind"]].from_json(plain[name] | {"cases": list(plain["cases"])})


def _plain(part: FittedOnCases | None) -> dict[str, Any] | None:
    return None if part is None else part.as_json() | {"cases": []}


def _short(value: object) -> str:
    return ", ".join(str(part)[:12] for part in value) if isinstance(value, tuple) else str(value)
