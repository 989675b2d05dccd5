"""What is known of one case: single values, and quantities of the images in every draw. What is missing is left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from adumbra.clinic.rules.quantities import QUANTITIES, SITE_GROUPS, SITES, Quantity
from adumbra.core.errors import AmbiguousInput, ImplausibleValues, InputRejected

Known = float | int | bool | str | None
"""A number, a flag, or the name of a site; None where it is not known."""


@dataclass(frozen=True, eq=False)
class CaseValues:
    """The quantities of one case.

    Attributes:
        known: Single values by name: float, bool or the name of a site.
        draws: Quantities of the images by name, each (N,): float64, bool or names of sites, in the same N draws.
        n_draws: N; 1 where there is no quantity with draws.
    """

    known: Mapping[str, float | bool | str] = field(default_factory=dict)
    draws: Mapping[str, np.ndarray] = field(default_factory=dict)
    n_draws: int = 1

    def column(self, name: str) -> np.ndarray | None:
        """The values of a quantity, (N,); None where it is missing."""
        if name in self.draws:
            return self.draws[name]
        return np.full(self.n_draws, self.known[name]) if name in self.known else None


def case_values(
    known: Mapping[str, Known], draws: Mapping[str, Sequence[float] | Sequence[str] | np.ndarray] | None = None
) -> CaseValues:
    """The quantities of one case, checked.

    Args:
        known: Single values by name in ``quantities.QUANTITIES``; None is the same as leaving the quantity out.
        draws: Quantities with one value for each draw. Value i of all of them belongs to the same draw, so that what
            is correlated is evaluated together.

    Raises:
        InputRejected: A name is unknown, a value is of the wrong kind, or the numbers of draws differ.
        AmbiguousInput: A quantity is given as a single value and in draws.
        ImplausibleValues: A number is outside its range, or nan where it cannot be undefined.
    """
    columns = {name: np.asarray(values) for name, values in (draws or {}).items()}
    given = {name: value for name, value in known.items() if value is not None}
    for name in (*given, *columns):
        if name not in QUANTITIES:
            raise InputRejected(
                name,
                expected=f"one of {', '.join(QUANTITIES)}",
                found="an unknown quantity",
                do="check the spelling",
            )
    if both := sorted(given.keys() & columns.keys()):
        raise AmbiguousInput(
            ", ".join(both), expected="a single value or draws", found="both", do="leave one of them out"
        )
    return CaseValues(
        {name: _single(name, value) for name, value in given.items()},
        {name: _column(name, values) for name, values in columns.items()},
        _number_of_draws(columns),
    )


def _number_of_draws(columns: Mapping[str, np.ndarray]) -> int:
    lengths = {name: values.shape[0] if values.ndim == 1 else 0 for name, values in columns.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise InputRejected(
            "draws",
            expected="one value of each quantity for each draw",
            found=", ".join(f"{length} of {name}" for name, length in lengths.items()),
            do="give the values of the same draws, in the same order",
        )
    return next(iter(lengths.values()), 1)


def _single(name: str, value: float | bool | str) -> float | bool | str:
    kind = QUANTITIES[name]
    column = _column(name, np.asarray([value]), groups=True)
    if kind.integer and float(column[0]) != int(column[0]):
        raise ImplausibleValues(name, expected="an integer", found=str(value), do="give the score itself")
    item: float | bool | str = column[0].item()
    return item


def _column(name: str, values: np.ndarray, *, groups: bool = False) -> np.ndarray:
    kind = QUANTITIES[name]
    if kind.kind == "flag":
        return _of_type(name, values, "b", "true or false")
    if kind.kind == "site":
        sites = _of_type(name, values, "U", "the name of a site")
        allowed = (*SITES, *SITE_GROUPS) if groups else SITES
        if unknown := sorted(set(sites.tolist()) - set(allowed)):
            raise InputRejected(
                name, expected=f"one of {', '.join(allowed)}", found=", ".join(unknown), do="check the spelling"
            )
        return sites
    return _in_range(name, kind, _of_type(name, values, "iuf", "a number").astype(np.float64))


def _of_type(name: str, values: np.ndarray, kinds: str, expected: str) -> np.ndarray:
    if values.dtype.kind not in kinds:
        raise InputRejected(name, expected=expected, found=f"{values.reshape(-1)[:1]}", do="correct the value")
    return values


def _in_range(name: str, kind: Quantity, values: np.ndarray) -> np.ndarray:
    undefined = np.isnan(values)
    inside = (values >= kind.low) & (values <= kind.high)
    if (undefined.any() and not kind.may_be_undefined) or not (inside | undefined).all():
        raise ImplausibleValues(
            name,
            expected=f"{kind.label} from {kind.low:g} to {kind.high:g}",
            found=", ".join(f"{value:g}" for value in values[~inside][:3]),
            do="correct the value, or leave the quantity out where it is not known",
        )
    return values
