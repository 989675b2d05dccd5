"""The artery of the largest clot after decisions, and the rules that depend on its site."""

import numpy as np
import pytest

from adumbra.clinic.clot_artery import ClotArtery
from adumbra.clinic.decisions import Decisions, Surroundings
from adumbra.clinic.largest_clot import ClotSite, LargestClot
from adumbra.clinic.rules.case_values import case_values
from adumbra.clinic.rules.reader import load_rules
from adumbra.clinic.worklist import worklist
from adumbra.core.errors import MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.midline import Plane
from adumbra.core.mask_draws import MaskDraws
from rule_cases import PATIENT
from worklist_cases import maps_of

GRID = Grid((40, 12, 12), np.eye(4))


def block(low: int, high: int) -> np.ndarray:
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[low:high, 5:7, 5:7] = True
    return mask


CLOT, BESIDE, AWAY = block(10, 16), block(3, 9), block(30, 33)


def artery(masks: list[np.ndarray], grid: Grid) -> ClotArtery:
    """M1 where the clot reaches below x = 8 mm in a draw, else M2."""
    points = [grid.world_mm(np.argwhere(mask))[:, 0].min() for mask in masks if mask.any()]
    if not points:
        raise MissingInput("clot", expected="a draw", found="none", do="give one")
    share = float(np.mean([x < 8.0 for x in points]))
    ranked = sorted({"M1 right": share, "M2 superior right": 1.0 - share}.items(), key=lambda row: -row[1])
    return ClotArtery(dict(ranked), 0.0)


def clot_of(mask: np.ndarray = CLOT) -> LargestClot:
    maps = maps_of(np.where(mask, 0.8, 0.0), grid=GRID, target="thrombus")
    return LargestClot(maps, MaskDraws.of([mask, mask]), artery)


def test_a_region_that_joins_the_clot_changes_its_artery() -> None:
    clot = clot_of()
    assert clot.before == ClotSite("M2 superior right", "m2")
    assert clot.after(np.flatnonzero(BESIDE), belongs=True) == ClotSite("M1 right", "m1")
    assert clot.after(np.flatnonzero(BESIDE), belongs=False) == clot.before
    assert clot_of(CLOT | BESIDE).after(np.flatnonzero(BESIDE), belongs=False).site == "m2"


def test_a_region_elsewhere_does_not_unless_it_is_larger() -> None:
    clot = clot_of(BESIDE)
    assert clot.before.site == "m1"
    assert clot.after(np.flatnonzero(AWAY), belongs=True) is clot.before
    assert clot.after(np.flatnonzero(block(25, 38)), belongs=True).site == "m2"


def test_without_a_clot_there_is_no_site() -> None:
    empty = clot_of(np.zeros(GRID.shape, dtype=bool))
    assert empty.before == ClotSite()
    assert empty.after(np.flatnonzero(BESIDE), belongs=False) == ClotSite()
    assert empty.after(np.flatnonzero(BESIDE), belongs=True).artery == "M1 right"
    assert clot_of().after(np.flatnonzero(CLOT), belongs=False) == ClotSite()


def test_rules_follow_the_site_and_the_region_comes_first() -> None:
    """A rule that asks for ICA or M1 changes with the region that turns the clot of the M2 into one of the M1."""
    probability = np.where(CLOT, 0.99, np.where(BESIDE, 0.4, np.where(AWAY, 0.45, 0.0)))
    maps = maps_of(probability, grid=GRID, target="thrombus")
    draws = MaskDraws.of([CLOT, CLOT])
    known = {**PATIENT, "occlusion_site": "m2", "core_ml": 20.0, "mismatch_difference_ml": 80.0, "mismatch_ratio": 5.0}
    values = case_values(known, {"clot_visible": np.array([True, True])})
    rules = load_rules()
    around = Surroundings(values=values, rules=rules, clot=LargestClot(maps, draws, artery))
    region = np.flatnonzero(BESIDE)
    engine = Decisions(maps, draws, around, voxels=np.flatnonzero(BESIDE | AWAY))
    inside = engine.consequence(region, belongs=True)
    flipped = {rule.id: (rule.before, rule.after) for rule in inside.rules}
    assert flipped["defuse-3"] == ("not met", "met")
    assert "largest clot in M1 right instead of M2 superior right" in inside.sentence
    assert engine.consequence(region, belongs=False).rules == ()
    plain = Decisions(maps, draws, Surroundings(values=values, rules=rules), voxels=region)
    assert plain.consequence(region, belongs=True).rules == ()  # a site that a reader gave stays
    listed = worklist(maps, draws, brain=np.ones(GRID.shape, bool), surroundings=around, plane=Plane((1, 0, 0), 20.0))
    assert listed.items[0].changes_rule
    assert set(listed.items[0].voxels) == set(region)
    assert listed.items[0].as_json()["if_in"]["artery"]["site_after"] == "m1"


@pytest.mark.parametrize("draws", [1, 30])
def test_few_draws_are_read_evenly(draws: int) -> None:
    masks = [CLOT | BESIDE if n % 2 else CLOT for n in range(draws)]
    maps = maps_of(np.where(CLOT, 0.8, 0.0), grid=GRID, target="thrombus")
    before = LargestClot(maps, MaskDraws.of(masks), artery).before
    assert before.site == ("m2" if draws == 1 else before.site)
    assert before.artery in ("", "M1 right", "M2 superior right")
