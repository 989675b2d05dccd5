"""What every calibration has in common: it knows the cases it was fitted on, and can be saved with the weights."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from adumbra.core.errors import InputRejected, WeightsRejected

F = TypeVar("F", bound="FittedOnCases")


@dataclass(frozen=True, kw_only=True)
class FittedOnCases:
    """Something that was fitted on cases, and knows them.

    Attributes:
        cases: Their ids, such as the sha256 of their scans, or names; these are published with the weights.
    """

    cases: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``json.dumps``: the fields, and the kind."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        listed = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
        return {"kind": type(self).__name__} | listed

    @classmethod
    def from_json(cls: type[F], plain: Mapping[str, Any]) -> F:
        """What ``as_json`` gave.

        Raises:
            WeightsRejected: It is of another kind, not complete, or not possible.
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
