"""The cosine noise schedule: the share of the image and of the noise at each time, and the times of a sampler's steps.

Time runs from 0 (the image) to 1 (noise). An image x₀ with normal noise ε is at time t

    x_t = √ᾱ(t) x₀ + √(1 - ᾱ(t)) ε,        ᾱ(t) = cos² φ(t) / cos² φ(0)

with an angle φ that grows linearly (Nichol & Dhariwal, ICML 2021). Theirs ends at π/2, where no signal is left and the
estimate of x₀ from the noise divides by 0; they clip the last step. Here φ ends a little earlier, where the log-SNR is
``lowest``, so that the log-SNR falls strictly. By default that is the first 99.6 % of their curve.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import acos, cos, inf, isfinite, pi, sqrt
from typing import Literal, get_args

import torch
from torch import Tensor

from adumbra.core.errors import InputRejected
from adumbra.core.references import cites

TimeSpacing = Literal["time", "log-snr"]
"""What the steps of a sampler are even in."""


@cites("Nichol2021")
@dataclass(frozen=True)
class Schedule:
    """The cosine schedule. Times are tensors of floats in [0, 1], or of integers that count steps from 0 to ``steps``.

    All results are computed and returned in float64, on the device of the times.

    Attributes:
        steps: Number T of discrete steps; step k is the time k / T.
        offset: Offset s of the paper, which keeps the first steps from being too small.
        lowest: Log-SNR ln(ᾱ / (1 - ᾱ)) at the end. A lower value brings the end nearer to pure noise (the share of the
            image is e^(lowest / 2), or 0.7 %), and amplifies a network's error in the noise more in x₀ (150 times).
    """

    steps: int = 1000
    offset: float = 0.008
    lowest: float = -10.0

    def __post_init__(self) -> None:
        require_count("steps", self.steps)
        if not 0.0 <= self.offset < inf:
            raise InputRejected("offset", expected="0 or more", found=f"{self.offset}", do="take the paper's 0.008")
        if not (isfinite(self.lowest) and self.lowest < 0.0):
            raise InputRejected("lowest", expected="below 0, finite", found=f"{self.lowest}", do="take -10")

    @property
    def angles(self) -> tuple[float, float]:
        """The angle φ at the times 0 and 1, in radians."""
        first = 0.5 * pi * self.offset / (1.0 + self.offset)
        signal = 1.0 / (1.0 + torch.tensor(-self.lowest, dtype=torch.float64).exp().item())
        return first, acos(cos(first) * sqrt(signal))

    def time(self, t: Tensor) -> Tensor:
        """The times as float64 in [0, 1].

        Raises:
            InputRejected: A time is outside the schedule, or NaN.
        """
        whole = not t.is_floating_point()
        time = t.double() / self.steps if whole else t.double()
        if not bool(((time >= 0.0) & (time <= 1.0)).all()):
            raise InputRejected(
                "t",
                expected=f"whole steps from 0 to {self.steps}" if whole else "times from 0 to 1",
                found=f"{t.min().item():g} to {t.max().item():g}",
                do="give steps as integers, times as floats",
            )
        return time

    def signal(self, t: Tensor) -> Tensor:
        """ᾱ: the share of the image's variance, from 1 at time 0 down to almost 0."""
        variance = self.variance(t)
        # 1 - variance is exactly 1 at time 0, where the ratio of cosines need not be; near time 1 it would lose digits.
        return torch.where(variance < 0.5, 1.0 - variance, (self._angle(t).cos() / cos(self.angles[0])).square())

    def variance(self, t: Tensor) -> Tensor:
        """1 - ᾱ: the variance of the noise, without the loss of digits of the difference near time 0."""
        first, angle = self.angles[0], self._angle(t)
        return (angle - first).sin() * (angle + first).sin() / cos(first) ** 2

    def scales(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """√ᾱ and σ = √(1 - ᾱ): the factors of the image and of the noise."""
        return self.signal(t).sqrt(), self.variance(t).sqrt()

    def log_snr(self, t: Tensor) -> Tensor:
        """ln(ᾱ / (1 - ᾱ)), which falls from +∞ at time 0 to ``lowest`` at time 1."""
        return self.signal(t).log() - self.variance(t).log()

    def time_at(self, log_snr: Tensor) -> Tensor:
        """The time of a log-SNR; values below ``lowest`` give 1."""
        first, last = self.angles
        angle = (log_snr.double().sigmoid().sqrt() * cos(first)).acos()
        return ((angle - first) / (last - first)).clamp(0.0, 1.0)

    def _angle(self, t: Tensor) -> Tensor:
        first, last = self.angles
        return first + self.time(t) * (last - first)


def descending_times(schedule: Schedule, steps: int, *, spacing: TimeSpacing = "time") -> Tensor:
    """The times of a sampler's steps, (steps + 1,) float64, from 1 down to 0.

    Args:
        schedule: The noise schedule.
        steps: Number of steps.
        spacing: ``"time"`` is even in t. ``"log-snr"`` is even in the log-SNR down to the schedule's first step, 1 / T;
            the last step goes from there to 0, where the log-SNR is infinite.

    Raises:
        InputRejected: ``steps`` is less than 1, the spacing is unknown, or several steps are even in the log-SNR of a
            schedule of one step.
    """
    require_count("steps", steps)
    require_one_of("spacing", spacing, get_args(TimeSpacing))
    if spacing == "time" or steps == 1:
        return torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)
    if schedule.steps == 1:
        raise InputRejected("schedule", expected="2 steps or more", found="1", do="use the spacing time, or more steps")
    highest = float(schedule.log_snr(torch.tensor(1.0 / schedule.steps, dtype=torch.float64)))
    times = schedule.time_at(torch.linspace(schedule.lowest, highest, steps, dtype=torch.float64))
    times[0] = 1.0
    return torch.cat([times, times.new_zeros(1)])


def stratified_times(uniform: float, batch: int) -> Tensor:
    """Times for the examples of a batch, (batch,) float64 in (0, 1]: evenly spaced, shifted by one uniform number.

    The time of each example is uniformly distributed, whatever its place in the batch. Each batch covers all levels of
    noise, which reduces the variance of the loss (Kingma et al., NeurIPS 2021).

    Args:
        uniform: Uniform number in [0, 1), from the caller's generator.
        batch: Number of examples.

    Raises:
        InputRejected: The number is outside [0, 1), or the batch is empty.
    """
    require_count("batch", batch)
    if not 0.0 <= uniform < 1.0:
        raise InputRejected("uniform", expected="0 or more, below 1", found=f"{uniform}", do="draw it uniformly")
    return 1.0 - (uniform + torch.arange(batch, dtype=torch.float64) / batch) % 1.0


def require_falling(times: Tensor) -> list[float]:
    """The times as floats.

    Raises:
        InputRejected: There are fewer than two, one is not below its predecessor, or one is outside [0, 1].
    """
    listed = [float(time) for time in times.flatten()]
    fit = len(listed) > 1 and all(1.0 >= before > after >= 0.0 for before, after in pairwise(listed))
    if not fit:
        raise InputRejected(
            "times",
            expected="two or more, each below the one before, from 1 to 0 at most",
            found=", ".join(f"{time:g}" for time in listed[:6]) + (", ..." if len(listed) > 6 else ""),
            do="compute them with descending_times",
        )
    return listed


def require_count(name: str, value: int) -> None:
    """Refuses a number below 1.

    Raises:
        InputRejected: The number is below 1.
    """
    if value < 1:
        raise InputRejected(name, expected="1 or more", found=f"{value}", do="give a positive whole number")


def require_one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    """Refuses a value that is not among the known ones.

    Raises:
        InputRejected: The value is unknown.
    """
    if value not in known:
        raise InputRejected(name, expected=f"one of {', '.join(known)}", found=f"{value!r}", do="choose one of these")
