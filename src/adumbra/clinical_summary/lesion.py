"""The part of the clinical summary that is about the lesion: volumes by territory, ASPECTS, restricted diffusion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adumbra.clinic.aspects import AspectsDraws, RegionMap
from adumbra.clinic.distribution import Distribution
from adumbra.clinic.region_scores import Aspects
from adumbra.clinic.territories import TerritoryDraws, TerritoryMap, TerritoryVolumes
from adumbra.clinical_summary.place import PlacedCase
from adumbra.core.case import Case
from adumbra.core.results import Prediction
from adumbra.core.types import Mask

RESTRICTED_ADC = 0.62
"""Limit of the ADC in 10⁻³ mm²/s below which SELECT2 and ANGEL-ASPECT count the core."""
LEAST_ML = 0.05
"""Volume from which a lesion has a place: about six voxels of 2 mm."""


@dataclass(frozen=True, eq=False)
class LesionPart:
    """What the summary says of the lesion.

    Attributes:
        plain: Plain values.
        core: Volume of each draw.
        rule_draws: Draws under the names that the rules use.
        territory_map: Territories on the grid of the case; None where the head could not be placed.
        region_map: ASPECTS regions on the same grid; None where the head could not be placed.
        territories: Volumes by territory; None where the head could not be placed.
        scores: ASPECTS and PC-ASPECTS; None where the head could not be placed.
        restricted: Voxels with an ADC below ``RESTRICTED_ADC``; None without an ADC.
    """

    plain: dict[str, Any]
    core: Distribution
    rule_draws: Mapping[str, np.ndarray]
    territory_map: TerritoryMap | None = None
    region_map: RegionMap | None = None
    territories: TerritoryVolumes | None = None
    scores: Aspects | None = None
    restricted: Mask | None = None


def lesion_part(prediction: Prediction, place: PlacedCase) -> LesionPart:
    """What the summary says of a predicted lesion, from the masks of its draws.

    Args:
        prediction: The prediction, with the masks of its draws.
        place: The place of the same case in the atlas.
    """
    draws, grid = prediction.mask_draws, prediction.maps.grid
    assert draws is not None
    territory_map = region_map = None
    counters: list[TerritoryDraws | AspectsDraws] = []
    if place.deformation is not None:
        mni_mm = place.deformation.of_voxels(grid.affine, grid.shape)
        territory_map, region_map = TerritoryMap.at(mni_mm, grid), RegionMap.at(mni_mm, grid)
        counters = [TerritoryDraws(territory_map), AspectsDraws(region_map)]
    restricted = _restricted(place.case)
    volumes, restricted_ml = [], []
    for mask in draws:
        volumes.append(float(np.count_nonzero(mask)) * grid.voxel_ml)
        if restricted is not None:
            restricted_ml.append(float(np.count_nonzero(mask & restricted)) * grid.voxel_ml)
        for counter in counters:
            counter.add(mask)
    core = Distribution("core", "ml", tuple(volumes))
    rule_draws = {"core_ml": np.asarray(volumes)}
    plain: dict[str, Any] = {"volume_ml": core.as_json(), "reported_ml": prediction.findings.volume_ml.value}
    if restricted is not None:
        rule_draws["adc620_ml"] = np.asarray(restricted_ml)
        plain["adc_below_620_ml"] = Distribution("ADC below 0.62", "ml", tuple(restricted_ml)).as_json()
    notes = list(place.notes)
    territories = scores = None
    if territory_map is not None and region_map is not None:
        territory_draws, aspects_draws = counters
        assert isinstance(territory_draws, TerritoryDraws)
        assert isinstance(aspects_draws, AspectsDraws)
        territories, scores = territory_draws.volumes(), aspects_draws.result()
        rule_draws |= {**territories.rule_draws(), **scores.rule_draws()}
        plain |= {"territories": territories.as_json(), "scores": scores.as_json()}
        plain["main_territory"] = main_territory(territories)
        notes += scores.notes()
    plain["notes"] = notes
    return LesionPart(plain, core, rule_draws, territory_map, region_map, territories, scores, restricted)


def _restricted(case: Case) -> Mask | None:
    """Voxels with restricted diffusion by the limit of the large-core trials; None without an ADC."""
    if "adc" not in case.scans:
        return None
    adc = case.scans["adc"]
    below = (adc.data < RESTRICTED_ADC) & (adc.data > 0.0)
    return below if adc.valid_mask is None else below & adc.valid_mask


def main_territory(territories: TerritoryVolumes) -> str:
    """The territory with the largest median volume, such as ``"MCA right"``; empty where no draw has a lesion."""
    name, row = max(territories.rows.items(), key=lambda item: item[1].median)
    return name if territories.whole.median >= LEAST_ML and row.median > 0.0 else ""
