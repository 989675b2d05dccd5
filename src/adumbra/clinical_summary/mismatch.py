"""The part of the clinical summary that is about hypoperfusion, and its mismatch with the core."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adumbra.clinic.distribution import Distribution
from adumbra.clinic.mismatch import Mismatch, mismatch
from adumbra.core.geometry.resampling import resample
from adumbra.core.results import Prediction

ESTIMATED = "Estimated without contrast, not measured perfusion."
"""The sentence that stands beside every number of hypoperfusion."""


@dataclass(frozen=True, eq=False)
class HypoperfusionPart:
    """What the summary says of hypoperfusion.

    Attributes:
        plain: Plain values.
        volume: Volume of each draw.
        mismatch: The mismatch with the core; None where the lesion was not predicted.
    """

    plain: dict[str, Any]
    volume: Distribution
    mismatch: Mismatch | None = None


def hypoperfusion_part(
    prediction: Prediction, lesion: Prediction | None, further: Mapping[str, Any]
) -> HypoperfusionPart:
    """What the summary says of predicted hypoperfusion. Draw i of both targets is compared with each other.

    Args:
        prediction: The prediction, with the masks of its draws.
        lesion: The prediction of the lesion of the same case, with the masks of its draws; None where there is none.
        further: Further plain values of the estimate.
    """
    draws, grid = prediction.mask_draws, prediction.maps.grid
    assert draws is not None
    volume = Distribution(
        "estimated hypoperfusion", "ml", tuple(float(np.count_nonzero(m)) * grid.voxel_ml for m in draws)
    )
    plain: dict[str, Any] = {
        "volume_ml": volume.as_json(),
        "reported_ml": prediction.findings.volume_ml.value,
        "notes": [ESTIMATED],
        **further,
    }
    if lesion is None or lesion.mask_draws is None:
        return HypoperfusionPart(plain, volume)
    same = lesion.maps.grid.coincides(grid) and lesion.maps.grid.shape == grid.shape
    core, both, hypoperfused = [], [], []
    for own, other in zip(draws, lesion.mask_draws, strict=False):
        mask = other if same else resample(other, lesion.maps.grid, grid)
        hypoperfused.append(float(np.count_nonzero(own)) * grid.voxel_ml)
        core.append(float(np.count_nonzero(mask)) * grid.voxel_ml)
        both.append(float(np.count_nonzero(mask & own)) * grid.voxel_ml)
    result = mismatch(core, hypoperfused, both)
    plain["mismatch"] = result.as_json()
    return HypoperfusionPart(plain, volume, result)
