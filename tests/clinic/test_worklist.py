"""The worklist: what is listed, in which order, and with which sentences."""

import json

import numpy as np
import pytest

from adumbra.clinic.consequences import Consequence, QuantityChange, RuleChange
from adumbra.clinic.decisions import Surroundings
from adumbra.clinic.modality_evidence import WithheldProbabilities
from adumbra.clinic.region_places import RegionPlaces
from adumbra.clinic.rules.case_values import case_values
from adumbra.clinic.rules.reader import load_rules
from adumbra.clinic.uncertain_regions import uncertain_regions
from adumbra.clinic.worklist import worklist
from adumbra.core.atlas.vessels import vessel_atlas
from adumbra.core.errors import MissingInput
from adumbra.core.geometry.midline import Plane
from adumbra.core.mask_draws import MaskDraws
from atlas_cases import GRID, IDENTITY, cube
from rule_cases import PATIENT
from worklist_cases import lesion_with_rim, maps_of

PLACES = RegionPlaces.of(IDENTITY, GRID)
BRAIN = PLACES.territory_map.territories > 0
RULES = load_rules()
MIDLINE = Plane((1.0, 0.0, 0.0), 0.0)
EVERYWHERE = np.ones(GRID.shape, dtype=bool)


def near_a_limit(**changed):
    """A patient whose core is 66 ml in every draw and 74 ml with an uncertain region of 8 ml: DEFUSE 3 asks for 70."""
    core, region, away = cube((40.0, -20.0, 20.0), 20.0), cube((40.0, 20.0, 20.0), 10.0), cube((-40.0, 0.0, 20.0), 8.0)
    maps = maps_of(np.where(core, 0.99, np.where(region & ~core, 0.4, np.where(away, 0.45, 0.0))))
    draws = MaskDraws.of([maps.mask] * 2)
    values = case_values(
        {**{k: v for k, v in PATIENT.items() if k != "mca_share"}, **changed},
        {"core_ml": [maps.mask.sum() * GRID.voxel_ml] * 2, "hypoperfusion_ml": [200.0] * 2},
    )
    return maps, draws, Surroundings(values=values, rules=RULES), region & ~core, away


def test_a_region_that_flips_a_rule_comes_first() -> None:
    maps, draws, around, region, away = near_a_limit()
    before, after = (round(float(n) * GRID.voxel_ml, 1) for n in (maps.mask.sum(), (maps.mask | region).sum()))
    assert before < 70.0 < after
    result = worklist(maps, draws, brain=EVERYWHERE, surroundings=around, plane=MIDLINE)
    first, second = result.items
    assert (first.region.rank, first.changes_rule, second.changes_rule) == (1, True, False)
    assert first.region.volume_ml == pytest.approx(region.sum() * GRID.voxel_ml)
    assert second.region.volume_ml == pytest.approx(away.sum() * GRID.voxel_ml)
    assert second.region.mean_entropy > first.region.mean_entropy
    text = first.sentences[0]
    assert text.startswith(f"If it belongs to the core: core {after:g} ml (+")
    assert "DEFUSE 3" in text
    assert "no longer met" in text
    assert "DEFUSE 3" not in first.sentences[1]
    flipped = {rule.id: (rule.before, rule.after) for rule in first.if_in.rules}
    assert flipped["defuse-3"] == ("met", "not met")


def test_where_the_rule_does_not_apply_nothing_flips() -> None:
    """DEFUSE 3 is not met at 20 h, whatever the core is."""
    maps, draws, around, _, _ = near_a_limit(hours_since_last_known_well=20.0)
    result = worklist(maps, draws, brain=EVERYWHERE, surroundings=around, plane=MIDLINE)
    assert "defuse-3" not in {rule.id for item in result.items for rule in item.if_in.rules}


def test_items_lie_in_the_brain_and_have_names() -> None:
    maps, draws = lesion_with_rim()
    outside = np.zeros(GRID.shape, bool)
    outside[0:3, 0:3, 0:3] = True
    maps = maps_of(np.where(outside, 0.5, maps.probability))
    around = Surroundings(PLACES.territory_map, PLACES.region_map)
    result = worklist(maps, draws, brain=EVERYWHERE, places=PLACES, surroundings=around, plane=MIDLINE, most=100)
    assert result.outside_ml >= 27 * GRID.voxel_ml
    assert result.items
    for item in result.items:
        assert item.territory.endswith("right")
        assert BRAIN[item.region.index]
    changes = [max(i.if_in.score_change, i.if_out.score_change) for i in result.items]
    assert changes == sorted(changes, reverse=True)
    assert changes[0] >= 1.0
    assert "ASPECTS" in result.items[0].sentences[0] + result.items[0].sentences[1]
    listed = sum(item.region.volume_ml for item in result.items)
    rim = ((maps.probability == np.float32(0.4)) & PLACES.candidates("lesion")).sum() * GRID.voxel_ml
    assert listed + result.unlisted_ml == pytest.approx(rim)


def test_small_uncertain_regions_beside_a_large_lesion_are_not_listed() -> None:
    probability = np.where(cube((40.0, 0.0, 20.0), 20.0), 0.99, 0.0)
    probability[5, 20:22, 20] = 0.4  # 0.13 ml beside 64 ml
    result = worklist(maps_of(probability), None, brain=EVERYWHERE, plane=MIDLINE)
    assert (result.items, result.unlisted) == ((), 1)
    assert result.unlisted_ml == pytest.approx(2 * GRID.voxel_ml)
    assert result.notes[0] == "1 further uncertain region is not listed (0.13 ml together)."


def test_without_uncertain_voxels_the_list_is_empty() -> None:
    result = worklist(maps_of(np.zeros(GRID.shape)), None, brain=BRAIN, plane=MIDLINE)
    assert (result.items, result.all_in, result.notes) == ((), None, ())
    with pytest.raises(MissingInput, match="brain"):
        worklist(maps_of(np.zeros(GRID.shape)), None, brain=np.zeros(GRID.shape, bool))


def test_everything_is_plain_json() -> None:
    maps, draws, around, _, _ = near_a_limit()
    withheld = WithheldProbabilities(maps.probability, {"adc": np.full(GRID.shape, 0.5, np.float32)})
    result = worklist(maps, draws, brain=BRAIN, places=PLACES, surroundings=around, withheld=withheld, plane=MIDLINE)
    content = json.loads(json.dumps(result.as_json(), allow_nan=False))
    item = content["items"][0]
    assert {"rank", "volume_ml", "side", "position_mm", "index", "mean_entropy", "epistemic_share"} <= item.keys()
    assert item["if_in"]["sentence"] == result.items[0].sentences[0]
    assert item["modalities"][0]["modality"] == "adc"
    assert (item["settled_by"], item["modality"]) == (None, "none")  # 0.5 instead of 0.4 is 0.02 nats
    assert item["place"] == f"{item['aspects_region']}, {item['territory']}".removeprefix(", ")
    assert content["notes"] == list(result.notes)
    assert content["all_in"]["belongs"] is True


def test_an_uncertain_clot_is_listed_near_an_artery_only() -> None:
    atlas = vessel_atlas()
    m1 = np.argwhere(PLACES.artery_probability == PLACES.artery_probability.max())[0]
    probability = np.zeros(GRID.shape)
    probability[tuple(m1)] = probability[2, 2, 2] = 0.45
    result = worklist(maps_of(probability, target="thrombus"), None, brain=EVERYWHERE, places=PLACES, plane=MIDLINE)
    (item,) = result.items
    assert item.region.index == tuple(m1)
    assert item.artery
    assert result.outside_ml == pytest.approx(GRID.voxel_ml)
    assert "If it belongs to the clot: clot 0.064 ml" in item.sentences[0]
    assert atlas.segments.max() > 0


def test_a_rim_of_the_usual_list_is_cut_too() -> None:
    maps, _ = lesion_with_rim()
    rim = maps.probability == np.float32(0.4)
    brain = cube((40.0, 0.0, 20.0), 26.0)
    regions = uncertain_regions(maps, brain=brain)
    assert sum(region.volume_ml for region in regions) == pytest.approx(float(rim.sum()) * GRID.voxel_ml)
    assert regions[0].volume_ml < float(rim.sum()) * GRID.voxel_ml / 2
    assert uncertain_regions(maps, brain=brain, least_ml=100.0) == ()


def test_sentences_by_hand() -> None:
    rules = (
        RuleChange("a", "A", "met", "not met", 1.0, 0.0),
        RuleChange("b", "B", "not met", "met", 0.0, 1.0),
        RuleChange("c", "C", "met", "borderline", 1.0, 0.4),
        RuleChange("d", "D", "met", "not met", 1.0, 0.0),
    )
    quantities = {
        "aspects": QuantityChange("aspects", 7.0, 6.0),
        "mca_share": QuantityChange("mca_share", 0.2, 0.26),
        "mismatch_ratio": QuantityChange("mismatch_ratio", 2.0, 1.95),
    }
    text = Consequence(True, "core", 71.0, 7.04, quantities, rules).sentence
    assert text == (
        "If it belongs to the core: core 71 ml (+7 ml), ASPECTS 6 instead of 7, share of the MCA territory 26 % "
        "instead of 20 %; A and D no longer met; B met; C borderline instead of met."
    )
    assert Consequence(False, "core", 64.0, 0.0).sentence == "If it does not belong to the core: core unchanged."
