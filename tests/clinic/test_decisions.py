"""The consequences of a decision are those of the changed masks, computed from scratch."""

import numpy as np
import pytest

from adumbra.clinic.aspects import RegionMap, aspects
from adumbra.clinic.decisions import Decisions, Surroundings
from adumbra.clinic.mismatch import mismatch
from adumbra.clinic.region_pieces import uncertain_pieces
from adumbra.clinic.rules.case_values import case_values
from adumbra.clinic.rules.evaluation import evaluate_rules
from adumbra.clinic.rules.reader import load_rules
from adumbra.clinic.territories import TerritoryMap, territory_volumes
from adumbra.core.mask_draws import MaskDraws
from atlas_cases import GRID, IDENTITY, cube
from rule_cases import PATIENT
from worklist_cases import lesion_with_rim, maps_of

REGIONS, TERRITORIES = RegionMap.of(IDENTITY, GRID), TerritoryMap.of(IDENTITY, GRID)
MAPS, DRAWS = lesion_with_rim(half_mm=14.0)
PERFUSION = MaskDraws.of([cube((40.0, 0.0, 20.0), half) for half in (30.0, 32.0, 34.0, 36.0)])
RESTRICTED = cube((44.0, 0.0, 20.0), 20.0)
RULES = load_rules()
KNOWN = {name: value for name, value in PATIENT.items() if name != "mca_share"}
PIECES = uncertain_pieces(MAPS, within=np.ones(GRID.shape, bool), labels=REGIONS.labels)


def from_scratch(masks: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The quantities of the rules of some masks, by the functions of the report."""
    ml = GRID.voxel_ml
    core = [mask.sum() * ml for mask in masks]
    perfusion = [mask.sum() * ml for mask in PERFUSION]
    both = [(mask & other).sum() * ml for mask, other in zip(masks, PERFUSION, strict=True)]
    return {
        "adc620_ml": np.array([(mask & RESTRICTED).sum() * ml for mask in masks]),
        **aspects(masks, REGIONS).rule_draws(),
        **territory_volumes(masks, TERRITORIES).rule_draws(),
        **mismatch(core, perfusion, both).rule_draws(),
    }


def decisions() -> Decisions:
    values = case_values(KNOWN, from_scratch(list(DRAWS)))
    around = Surroundings(TERRITORIES, REGIONS, RESTRICTED, PERFUSION, values, RULES)
    return Decisions(MAPS, DRAWS, around, voxels=np.sort(np.concatenate(PIECES)))


@pytest.mark.parametrize("belongs", [True, False])
def test_a_decision_is_that_of_the_changed_masks(belongs: bool) -> None:
    engine, changed_rules = decisions(), 0
    before = evaluate_rules(RULES, case_values(KNOWN, from_scratch(list(DRAWS))))
    for piece in (PIECES[0], max(PIECES, key=len), np.sort(np.concatenate(PIECES))):
        region = np.zeros(GRID.shape, dtype=bool)
        region.flat[piece] = True
        masks = [mask | region if belongs else mask & ~region for mask in DRAWS]
        expected, result = from_scratch(masks), engine.consequence(piece, belongs=belongs)
        for name, column in expected.items():
            if name != "hypoperfusion_ml":
                assert result.quantities[name].after == pytest.approx(float(np.median(column))), name
        after = evaluate_rules(RULES, case_values(KNOWN, expected))
        changes = {old.id: (old.status, new.status) for old, new in zip(before, after, strict=True)}
        changes = {rule: pair for rule, pair in changes.items() if pair[0] != pair[1]}
        assert {rule.id: (rule.before, rule.after) for rule in result.rules} == changes
        changed_rules += len(changes)
        mask = MAPS.mask | region if belongs else MAPS.mask & ~region
        assert result.volume_ml == pytest.approx(mask.sum() * GRID.voxel_ml)
        assert result.change_ml == pytest.approx((mask.sum() - MAPS.mask.sum()) * GRID.voxel_ml)
    assert changed_rules > 0  # the case lies near the limits of some rules


def test_a_fact_that_was_given_is_not_replaced() -> None:
    """ASPECTS that a reader gave stays, so that no rule of ASPECTS changes."""
    draws = {name: column for name, column in from_scratch(list(DRAWS)).items() if name != "aspects"}
    around = Surroundings(TERRITORIES, REGIONS, values=case_values({**KNOWN, "aspects": 8}, draws), rules=RULES)
    engine = Decisions(MAPS, DRAWS, around, voxels=np.sort(np.concatenate(PIECES)))
    of_aspects = {rule.id for rule in RULES if rule.quantities & {"aspects"} and not rule.quantities & {"adc620_ml"}}
    result = engine.consequence(np.sort(np.concatenate(PIECES)), belongs=True)
    assert result.quantities["aspects"].change < 0
    assert not of_aspects & {rule.id for rule in result.rules}


def test_without_masks_of_the_hypoperfusion_its_volumes_give_the_mismatch() -> None:
    values = case_values(KNOWN, {"core_ml": [m.sum() * GRID.voxel_ml for m in DRAWS], "hypoperfusion_ml": [300.0] * 4})
    engine = Decisions(MAPS, DRAWS, Surroundings(values=values, rules=RULES), voxels=PIECES[0])
    result = engine.consequence(PIECES[0], belongs=False)
    core = np.median([m.sum() - np.count_nonzero(m.ravel()[PIECES[0]]) for m in DRAWS]) * GRID.voxel_ml
    assert result.quantities["mismatch_difference_ml"].after == pytest.approx(300.0 - core)
    assert "mismatch_set_difference_ml" not in result.quantities


def test_a_clot_is_visible_or_not() -> None:
    probability = np.zeros(GRID.shape)
    probability[20, 20, 20:22] = 0.6
    maps = maps_of(probability, target="thrombus")
    piece = np.flatnonzero(probability)
    result = Decisions(maps, None, Surroundings(), voxels=piece).consequence(piece, belongs=False)
    assert (result.noun, result.volume_ml) == ("clot", 0.0)
    assert (result.quantities["clot_visible"].before, result.quantities["clot_visible"].after) == (1.0, 0.0)
    assert result.sentence == "If it does not belong to the clot: clot 0 ml (−0.13 ml)."
