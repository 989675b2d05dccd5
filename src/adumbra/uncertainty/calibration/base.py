"""Bases of the calibrations: the cases that they were fitted on, their JSON form, maps of probabilities, intervals."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

import numpy as np

from adumbra.core.case_features import CaseFeatures
from adumbra.core.errors import InputRejected, WeightsRejected
from adumbra.core.results import Estimate

F = TypeVar("F", bound="FittedOnCases")


@dataclass(frozen=True, kw_only=True)
class FittedOnCases:
    """Parameters that were fitted on cases, with the identity of these cases.

    The class name and the field names are those of the JSON form, so they cannot change without ``core.legacy``.

    Attributes:
        cases: Identifiers of the cases, such as the sha256 of their scans, or names. They are published with the
            weights.
    """

    cases: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Fields and class name as plain values for ``json.dumps``."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        listed = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
        return {"kind": type(self).__name__} | listed

    @classmethod
    def from_json(cls: type[F], plain: Mapping[str, Any]) -> F:
        """Inverse of ``as_json``.

        Raises:
            WeightsRejected: The values are of another class, incomplete, or impossible.
        """
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
        try:
            if values.pop("kind") != cls.__name__:
                raise TypeError(f"a {plain['kind']}")
            return cls(**values)
        except (KeyError, TypeError, ValueError, InputRejected) as error:
            raise WeightsRejected(
                "calibration", expected=f"a {cls.__name__} as as_json() gives it", found=str(error), do="fit it again"
            ) from error


class ProbabilityCalibration(FittedOnCases, ABC):
    """A monotonic map from the predicted probability of a voxel to a calibrated one.

    Attributes:
        strictly_increasing: Whether different probabilities always stay different.
    """

    strictly_increasing: ClassVar[bool] = True

    @abstractmethod
    def apply(self, probability: np.ndarray, *, bands: np.ndarray | None = None) -> np.ndarray:
        """Calibrated probability.

        Args:
            probability: Predicted probability, any shape.
            bands: Distance band of each voxel, of the same shape (``samples.bands``). Maps that are the same for every
                voxel ignore it.

        Returns:
            float32, of the same shape.

        Raises:
            ImplausibleValues: A value is not a probability.
            InputRejected: The map depends on the band of a voxel, and the bands are missing or unknown to it.
        """


class VolumeCalibration(FittedOnCases, ABC):
    """A calibrated interval of the volume of a case.

    Attributes:
        target: Target whose volume is covered.
        level: Nominal coverage, 1 - α.
        draws: Number of draws of each case; a new case must have as many.
    """

    target: str
    level: float
    draws: int

    @abstractmethod
    def of_case(self, features: CaseFeatures) -> Estimate:
        """Volume in ml with its interval.

        Raises:
            InputRejected: The features are of another target or another number of draws.
        """

    def require_exchangeable(self, target: str, draws: int) -> None:
        """Refuses a case that is not like those of the fit.

        Raises:
            InputRejected: The draws are of another target, or their number is not that of the fit.
        """
        if (target, draws) != (self.target, self.draws):
            raise InputRejected(
                "draws",
                expected=f"{self.draws} of {self.target}, as in the cases of the fit",
                found=f"{draws} of {target}",
                do="take as many draws as the calibration, or fit it again",
            )

    def require_members(self, expected: int, members: int) -> None:
        """Refuses draws of another number of ensemble members.

        Args:
            expected: Number of members in the cases of the fit.
            members: Number of members of the case.

        Raises:
            InputRejected: They differ.
        """
        if members != expected:
            raise InputRejected(
                "draws",
                expected=f"draws of {expected} members, as in the cases of the fit",
                found=f"draws of {members}",
                do="use the ensemble of the calibration, or fit it again",
            )
