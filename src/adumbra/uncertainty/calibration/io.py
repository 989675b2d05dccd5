"""A calibration beside the weights it was fitted to: which they are, what was fitted, and on which cases."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from adumbra.core.atomic_io import write_atomically
from adumbra.core.errors import MissingInput, WeightsRejected
from adumbra.core.legacy import current_value
from adumbra.core.types import Target
from adumbra.uncertainty.calibration.base import FittedOnCases
from adumbra.uncertainty.calibration.calibrators import CALIBRATIONS, Isotonic
from adumbra.uncertainty.calibration.conformal import ControlledThreshold, VolumeInterval

FORMAT = "adumbra-calibration-1"
_TILT = 1e-3  # An isotonic map has level parts; so tilted it keeps the order of voxels, and with it every mask.


@dataclass(frozen=True)
class Calibration:
    """What was fitted for one posterior of some weights.

    Attributes:
        target: What they outline.
        posterior: Name of the approximation.
        draws: How many each case had.
        weights: sha256 of the weights, in the order of the members.
        probability: The map from probabilities to calibrated ones; None where none was fitted.
        threshold: Of the mask that misses little; None where none was fitted.
        volume: The interval of the volume; None where none was fitted.
        cases: The cases fitted on: name to sha256 of the scan that is outlined, empty where it was never a file.
    """

    target: Target
    posterior: str
    draws: int
    weights: tuple[str, ...]
    probability: FittedOnCases | None = None
    threshold: ControlledThreshold | None = None
    volume: VolumeInterval | None = None
    cases: Mapping[str, str] = field(default_factory=dict)

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """The calibrated probability, of the same shape."""
        if self.probability is None:
            return probability
        found: np.ndarray = self.probability.apply(probability)  # type: ignore[attr-defined]
        if isinstance(self.probability, Isotonic):
            found = (1.0 - _TILT) * found.astype(np.float64) + _TILT * probability
        return found.astype(probability.dtype, copy=False)

    def moved(self, threshold: float) -> float:
        """The threshold that calls the same voxels after the map as this one did before it."""
        return float(self.apply(np.array([threshold]))[0])

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        parts = {name: getattr(self, name) for name in ("probability", "threshold", "volume")}
        return {
            "format": FORMAT,
            "target": self.target,
            "posterior": self.posterior,
            "draws": self.draws,
            "weights": list(self.weights),
            **{name: part.as_json() | {"cases": []} if part is not None else None for name, part in parts.items()},
            "cases": dict(self.cases),
        }


def require_for(calibration: Calibration, *, target: str, posterior: str, weights: tuple[str, ...]) -> None:
    """Refuses a calibration of other weights, of another posterior, or of another target.

    Raises:
        WeightsRejected: So it is.
    """
    has = {"target": calibration.target, "posterior": calibration.posterior, "weights": calibration.weights}
    for name, wanted in {"target": target, "posterior": posterior, "weights": weights}.items():
        if has[name] != wanted:
            raise WeightsRejected(
                "calibration",
                expected=f"one fitted for the {name} {_short(wanted)}",
                found=_short(has[name]),
                do="run adumbra calibrate with these weights and this posterior, or give --no-calibration",
            )


def write_calibration(path: Path, calibration: Calibration) -> str:
    """Writes it, whole or not at all; its sha256.

    Raises:
        OutputRefused: The file cannot be written.
    """
    data = (json.dumps(calibration.as_json(), indent=1) + "\n").encode()
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def read_calibration(path: Path) -> Calibration:
    """What ``write_calibration`` wrote.

    Raises:
        MissingInput: There is no such file.
        WeightsRejected: It is something else, or damaged.
    """
    if not path.is_file():
        raise MissingInput(
            path.name, expected="a file that adumbra calibrate wrote", found="no such file", do="check the path"
        )
    try:
        plain = json.loads(path.read_text("utf-8"))
        if plain.pop("format") != FORMAT:
            raise ValueError("another format")
        names = tuple(plain["cases"])
        parts = {
            name: _kinds(name)[plain[name]["kind"]].from_json(plain[name] | {"cases": list(names)})
            for name in ("probability", "threshold", "volume")
            if plain[name] is not None
        }
        about = {name: plain[name] for name in ("target", "draws", "cases")}
        about["posterior"] = current_value("posterior", plain["posterior"])
        return Calibration(**about, weights=tuple(plain["weights"]), **parts)  # type: ignore[arg-type]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsRejected(
            path.name,
            expected="a calibration as adumbra calibrate writes it",
            found=f"{type(error).__name__}: {error}",
            do="run adumbra calibrate again",
        ) from error


def _kinds(name: str) -> Mapping[str, type[FittedOnCases]]:
    kinds: dict[str, Mapping[str, type[FittedOnCases]]] = {
        "probability": CALIBRATIONS,
        "threshold": {"ControlledThreshold": ControlledThreshold},
        "volume": {"VolumeInterval": VolumeInterval},
    }
    return kinds[name]


def _short(value: object) -> str:
    return ", ".join(str(part)[:12] for part in value) if isinstance(value, tuple) else str(value)
