"""Numbers that describe the draws of one case: features, the width of its interval, and its score.

They are computed without the truth, kept with a calibration, and shown on the report.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isnan, nan
from typing import Any, Literal

from adumbra.core.legacy import current_names
from adumbra.core.types import Target

FEATURE_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Probabilities at which the volume of the mean probability is measured."""


@dataclass(frozen=True)
class CaseFeatures:
    """Features of one case, from its draws before the calibration map, so that they do not depend on a calibration.

    Attributes:
        target: Target of the draws.
        draw_ml: Volume of the mask of each draw, ml.
        members: Ensemble member of each draw, from 0; all 0 for one network.
        member_dice: Mean Dice of the pairs of members' masks, the value of the case score; for one network, which has
            no other member, the expected Dice of two draws. 1 where all are empty, and nan for a single draw.
        mean_mask_ml: Volume of the mask of the mean probability, ml.
        expected_ml: Sum of the mean probability, ml.
        threshold_ml: Volume with a mean probability of at least each of ``FEATURE_THRESHOLDS``, ml.
        entropy_nat_ml: Sum of the entropy of the mean probability, nats times ml.
        brain_ml: Volume of the brain mask, ml.
    """

    target: Target
    draw_ml: tuple[float, ...]
    members: tuple[int, ...]
    member_dice: float
    mean_mask_ml: float
    expected_ml: float
    threshold_ml: tuple[float, ...]
    entropy_nat_ml: float
    brain_ml: float

    @property
    def member_count(self) -> int:
        """Number of members that have a draw."""
        return len(set(self.members))

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``json.dumps``, with null in place of nan."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return plain | {"member_dice": None if isnan(self.member_dice) else self.member_dice}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "CaseFeatures":
        """Inverse of ``as_json``; names of earlier versions are read as well.

        Raises:
            TypeError: A value is missing, or has another name.
        """
        current: Any = current_names("features", plain)
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in current.items()}
        dice = values.get("member_dice")
        return cls(**values | {"member_dice": nan if dice is None else dice})


@dataclass(frozen=True)
class WidthShares:
    """Sources of the width of a volume interval: shares of its squared width on the scale ln(1 + v / 0.1 ml).

    Attributes:
        members: Share of the variance between the members' volumes; 0 for one network.
        within: Share of the variance of one member's draws.
        calibration: The rest: what the calibration adds to the draws.
        within_source: What the draws of one member differ in: ``"annotators"`` for predicted logit noise, else
            ``"draws"``.
    """

    members: float
    within: float
    calibration: float
    within_source: Literal["annotators", "draws"]


@dataclass(frozen=True)
class CaseScore:
    """The agreement of the members, and what it meant in the calibration cases.

    Attributes:
        value: ``CaseFeatures.member_dice``: the mean Dice of the pairs of members' masks, or the expected Dice of two
            draws for one network.
        members: Number of members that were compared; 1 for the draws of one network.
        dice_limit: Dice below which a segmentation counts as poor.
        probability: Share of the similar calibration cases with a Dice below the limit; None without a calibration.
        low: Lower end of its 95 % Wilson interval; None without a calibration.
        high: Upper end of it; None without a calibration.
        similar_cases: Number of calibration cases with a similar score.
    """

    value: float
    members: int
    dice_limit: float
    probability: float | None = None
    low: float | None = None
    high: float | None = None
    similar_cases: int = 0
