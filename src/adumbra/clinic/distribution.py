"""The distribution of one number over the draws: median, interval, probabilities, and the share that is undefined.

A volume has a value in every draw. A ratio has none where both of its volumes are 0 (nan), and is infinite where only
the lower one is 0. The median and the interval are those of the defined draws, and the undefined share stands beside
them.
"""

from dataclasses import dataclass
from math import isfinite, isinf, isnan, nan

import numpy as np

from adumbra.core.errors import InputRejected

LEVEL = 0.95
"""Level of the central interval over the draws, as in the findings."""

ONE_THIRD = 1.0 / 3.0


@dataclass(frozen=True)
class Distribution:
    """One number in every draw.

    Attributes:
        label: What the number is, as a reader sees it.
        unit: Unit, such as ``"ml"``; empty for a ratio or a score.
        draws: The values, one for each draw; nan where undefined, inf where infinite.
        level: Level of the central interval, between 0 and 1.

    Raises:
        InputRejected: There is no draw, or the level is not between 0 and 1.
    """

    label: str
    unit: str
    draws: tuple[float, ...]
    level: float = LEVEL

    def __post_init__(self) -> None:
        if not self.draws or not 0.0 < self.level < 1.0:
            raise InputRejected(
                self.label,
                expected="at least one draw, and a level between 0 and 1",
                found=f"{len(self.draws)} draws, level {self.level}",
                do="give the values of the draws, and a level such as 0.95",
            )

    @property
    def median(self) -> float:
        """Median of the defined draws; nan where none is defined."""
        return self.quantile(0.5)

    @property
    def low(self) -> float:
        """Lower end of the central interval of the defined draws; nan where none is defined."""
        return self.quantile((1.0 - self.level) / 2.0)

    @property
    def high(self) -> float:
        """Upper end of the central interval of the defined draws; nan where none is defined."""
        return self.quantile((1.0 + self.level) / 2.0)

    @property
    def undefined_share(self) -> float:
        """Share of the draws in which the number is undefined."""
        return float(np.isnan(self.draws).mean())

    @property
    def infinite_share(self) -> float:
        """Share of the draws in which the number is infinite."""
        return float(np.isinf(self.draws).mean())

    def quantile(self, share: float) -> float:
        """A quantile of the defined draws: linear between finite draws, else the draw itself; nan without any."""
        defined = [value for value in self.draws if not isnan(value)]
        if not defined:
            return nan
        if len(set(defined)) == 1:
            return defined[0]
        if all(isfinite(value) for value in defined):
            return float(np.quantile(defined, share))
        return float(np.quantile(defined, share, method="inverted_cdf"))  # inf - inf is no number

    def probability_at_least(self, limit: float) -> float:
        """Share of all draws that reach a limit; an undefined draw does not reach it."""
        return float((np.asarray(self.draws) >= limit).mean())

    def probability_below(self, limit: float) -> float:
        """Share of all draws below a limit; an undefined draw is not below it."""
        return float((np.asarray(self.draws) < limit).mean())

    def sentence(self, *, limit: float | None = None) -> str:
        """The number with its interval, as in "core 114 ml (95 % of the draws: 98 ml to 131 ml)".

        Args:
            limit: A limit that the number is compared with: digits are added until the two differ as printed.
        """
        median, low, high = self.median, self.low, self.high
        if isnan(median):
            return f"{self.label} undefined"
        text = f"{self.label} {printed(median, self.unit, limit=limit)}"
        details = []
        if low != high:
            ends = f"{printed(low, self.unit)} to {printed(high, self.unit)}"
            details.append(f"{percent(self.level)} of the draws: {ends}")
        if self.undefined_share > 0.0:
            details.append(f"undefined in {percent(self.undefined_share)} of the draws")
        return f"{text} ({'; '.join(details)})" if details else text

    def as_json(self) -> dict[str, object]:
        """Plain values, without the draws; null where a number is undefined or infinite."""
        numbers = {"median": self.median, "low": self.low, "high": self.high}
        return {
            "label": self.label,
            "unit": self.unit,
            "level": self.level,
            **{name: value if isfinite(value) else None for name, value in numbers.items()},
            "undefined_share": self.undefined_share,
            "infinite_share": self.infinite_share,
            "draws": len(self.draws),
        }


def printed(value: float, unit: str, *, limit: float | None = None) -> str:
    """A number with its unit, to three significant digits; a third is written in words.

    Args:
        value: The number.
        unit: Its unit; empty for none.
        limit: Digits are added until the printed number differs from this limit, where the numbers differ.
    """
    if isinf(value):
        return "infinite"
    if value == ONE_THIRD:
        return f"one third {unit}".rstrip()
    rounded = value
    for digits in range(3, 16):
        rounded = float(f"{value:.{digits}g}")
        if limit is None or value == limit or rounded != limit:
            break
    return f"{rounded:.15g} {unit}".rstrip()


def percent(share: float) -> str:
    """A share in whole percent; a share that is neither 0 nor 1 is never printed as 0 % or 100 %."""
    if 0.0 < share < 0.01:
        return "less than 1 %"
    if 0.99 < share < 1.0:
        return "more than 99 %"
    return f"{100.0 * share:.0f} %"
