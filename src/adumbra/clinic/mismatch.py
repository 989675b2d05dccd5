r"""Mismatch of core and hypoperfusion, as distributions over the draws, by both definitions.

With C the core and H the hypoperfusion of one draw, both as sets of voxels, and V their volume:

- The difference of volumes is V(H) - V(C). The software of the perfusion trials reports it. It is negative where the
  core is larger than the hypoperfusion.
- The volume of the set difference is V(H \ C) = V(H) - V(H ∩ C). It is never negative, and never below the difference
  of volumes. Both are equal where the whole core lies in the hypoperfusion.
- The mismatch ratio is V(H) / V(C). It is infinite without a core, and undefined (nan) without core and hypoperfusion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adumbra.clinic.distribution import LEVEL, Distribution
from adumbra.core.errors import ImplausibleValues, InputRejected

TOLERANCE_ML = 1e-6
"""An intersection may exceed the smaller volume by this much: sums of voxels are rounded."""


@dataclass(frozen=True)
class Mismatch:
    """Core, hypoperfusion and their mismatch in every draw. Attributes of volumes are in ml.

    Attributes:
        core: Volume of the core.
        hypoperfusion: Volume of the hypoperfusion.
        difference: Volume of the hypoperfusion minus that of the core.
        set_difference: Volume of the hypoperfusion outside the core.
        ratio: Volume of the hypoperfusion over that of the core, without unit.
    """

    core: Distribution
    hypoperfusion: Distribution
    difference: Distribution
    set_difference: Distribution
    ratio: Distribution

    def notes(self) -> tuple[str, ...]:
        """Sentences that must stand beside the numbers: where the ratio has no value."""
        sentences = []
        if self.ratio.infinite_share > 0.0:
            sentences.append("The mismatch ratio is infinite in draws without a core.")
        if self.ratio.undefined_share > 0.0:
            sentences.append("The mismatch ratio is undefined in draws without core and hypoperfusion.")
        return tuple(sentences)

    def rule_draws(self) -> dict[str, np.ndarray]:
        """The draws under the names that the rules use (``clinic.rules.quantities``), each of shape (N,)."""
        return {
            "core_ml": np.asarray(self.core.draws),
            "hypoperfusion_ml": np.asarray(self.hypoperfusion.draws),
            "mismatch_difference_ml": np.asarray(self.difference.draws),
            "mismatch_set_difference_ml": np.asarray(self.set_difference.draws),
            "mismatch_ratio": np.asarray(self.ratio.draws),
        }

    def as_json(self) -> dict[str, object]:
        """Plain values of all distributions, with the notes."""
        return {
            "core_ml": self.core.as_json(),
            "hypoperfusion_ml": self.hypoperfusion.as_json(),
            "mismatch_difference_ml": self.difference.as_json(),
            "mismatch_set_difference_ml": self.set_difference.as_json(),
            "mismatch_ratio": self.ratio.as_json(),
            "notes": list(self.notes()),
        }


def mismatch(
    core_ml: Sequence[float] | np.ndarray,
    hypoperfusion_ml: Sequence[float] | np.ndarray,
    intersection_ml: Sequence[float] | np.ndarray,
    *,
    level: float = LEVEL,
) -> Mismatch:
    """The mismatch of the draws.

    Args:
        core_ml: (N,), volume of the core in each draw.
        hypoperfusion_ml: (N,), volume of the hypoperfusion in the same draws.
        intersection_ml: (N,), volume of the core inside the hypoperfusion in the same draws.
        level: Level of the central intervals, between 0 and 1.

    Raises:
        InputRejected: The numbers of draws differ or are 0, or the level is not between 0 and 1.
        ImplausibleValues: A volume is negative or no number, or an intersection is larger than one of its volumes.
    """
    core, hypoperfusion, intersection = _checked(
        {"core": core_ml, "hypoperfusion": hypoperfusion_ml, "intersection": intersection_ml}
    )
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = hypoperfusion / core  # 0 / 0 is nan, and x / 0 is inf; both are reported as such
    columns = (
        ("core", "ml", core),
        ("hypoperfusion", "ml", hypoperfusion),
        ("mismatch (difference of volumes)", "ml", hypoperfusion - core),
        ("mismatch (volume of the set difference)", "ml", np.maximum(hypoperfusion - intersection, 0.0)),
        ("mismatch ratio", "", ratio),
    )
    return Mismatch(*(Distribution(name, unit, tuple(values.tolist()), level) for name, unit, values in columns))


def _checked(columns: Mapping[str, Sequence[float] | np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    core, hypoperfusion, intersection = (np.asarray(values, dtype=np.float64) for values in columns.values())
    if core.ndim != 1 or core.size == 0 or not core.shape == hypoperfusion.shape == intersection.shape:
        raise InputRejected(
            "mismatch",
            expected="one volume of each kind for each draw, and at least one draw",
            found=", ".join(f"{name} of shape {np.shape(values)}" for name, values in columns.items()),
            do="give the volumes of the same draws, in the same order",
        )
    volumes = np.stack([core, hypoperfusion, intersection])
    if not np.isfinite(volumes).all() or (volumes < 0.0).any():
        raise ImplausibleValues(
            "mismatch", expected="volumes in ml from 0 on", found="a negative volume or no number", do="check the masks"
        )
    excess = float((intersection - np.minimum(core, hypoperfusion)).max())
    if excess > TOLERANCE_ML:
        raise ImplausibleValues(
            "mismatch",
            expected="an intersection that is no larger than core and hypoperfusion",
            found=f"one that is {excess:.3g} ml larger",
            do="count the intersection on the same grid as both volumes",
        )
    return core, hypoperfusion, intersection
