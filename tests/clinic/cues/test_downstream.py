"""The territory downstream of a clot: all of it behind a proximal clot, a part behind a distal one, none elsewhere."""

import json

import numpy as np
import pytest

from adumbra.clinic.clot_artery import NO_ARTERY
from adumbra.clinic.cues.downstream import downstream, supplied_arteries, supply_shares
from adumbra.core.atlas.vessels import ARTERIES, vessel_atlas
from adumbra.core.errors import GridMismatch, MissingInput
from atlas_cases import GRID, cube
from cue_cases import IMAGES

M1_RIGHT = (20.0, 2.0, -16.0)


def clot_in(segment_mm):
    """A clot of one voxel of 4 mm around a place."""
    return cube(segment_mm, 4.0)


def test_a_clot_of_the_m1_has_the_whole_mca_downstream_and_one_of_an_m3_its_own_branch_only() -> None:
    m1, m3 = supplied_arteries({"M1 right": 1.0}), supplied_arteries({"M3 frontal right": 1.0})
    reached = {name for name, weight in zip(ARTERIES, m1, strict=True) if weight > 0}
    assert {"M1 right", "M2 superior right", "M3 temporal right", "M1 perforators right"} <= reached
    assert not any("left" in name or name.startswith(("A", "P", "basilar")) for name in reached)
    assert {name for name, weight in zip(ARTERIES, m3, strict=True) if weight > 0} == {"M3 frontal right"}


def test_a_branch_of_an_unknown_m2_counts_half_for_each() -> None:
    weights = dict(zip(ARTERIES, supplied_arteries({"M3 left": 0.6, NO_ARTERY: 0.4}), strict=True))
    assert weights["M2 superior left"] == pytest.approx(0.3)
    assert weights["M2 inferior left"] == pytest.approx(0.3)
    assert sum(weights.values()) == pytest.approx(0.6)


def test_both_sides_lie_downstream_of_the_basilar_artery() -> None:
    weights = dict(zip(ARTERIES, supplied_arteries({"basilar": 1.0}), strict=True))
    assert weights["P2 right"] == weights["SCA left"] == weights["basilar"] == 1.0
    assert weights["M1 right"] == 0.0


def test_the_volume_is_the_sum_of_the_map_and_lies_on_the_side_of_the_clot() -> None:
    result = downstream([clot_in(M1_RIGHT)], IMAGES)
    assert result.volume is not None
    assert result.volume.median == pytest.approx(float(result.probability.sum()) * GRID.voxel_ml, rel=1e-4)
    assert 300.0 < result.volume.median < 700.0
    assert result.main_territory == "MCA right"
    assert result.probability.min() >= 0.0
    assert result.probability.max() <= 1.0 + 1e-5
    assert not result.probability[~IMAGES.brain].any()
    right = float(result.probability[IMAGES.mni_mm[0] > 0].sum())
    assert right > 0.95 * float(result.probability.sum())
    json.dumps(result.as_json())


def test_the_mirrored_clot_has_the_mirrored_volume() -> None:
    right, left = (downstream([clot_in((x, *M1_RIGHT[1:]))], IMAGES) for x in (M1_RIGHT[0], -M1_RIGHT[0]))
    assert right.volume is not None
    assert left.volume is not None
    assert left.main_territory == "MCA left"
    assert left.volume.median == pytest.approx(right.volume.median, rel=0.05)


def test_draws_without_a_clot_are_counted_and_have_no_volume() -> None:
    empty = np.zeros(GRID.shape, bool)
    result = downstream([clot_in(M1_RIGHT), empty], IMAGES)
    alone = downstream([clot_in(M1_RIGHT)], IMAGES)
    assert result.without_clot == 0.5
    assert result.volume is not None
    assert alone.volume is not None
    assert result.volume.draws == alone.volume.draws
    np.testing.assert_allclose(result.probability, alone.probability / 2, atol=1e-6)
    none = downstream([empty], IMAGES)
    assert none.volume is None
    assert none.main_territory == ""
    assert not none.probability.any()
    assert "no draw contains a clot" in none.sentence()


def test_a_clot_far_from_every_artery_has_no_territory() -> None:
    atlas = vessel_atlas()
    assert atlas.probability[0].max() > 0
    assert downstream([cube((-86.0, -118.0, -70.0), 2.0)], IMAGES).volume is None


def test_the_shares_of_supply_sum_to_one_or_none() -> None:
    totals = supply_shares(IMAGES).sum(axis=0)
    assert np.all((np.abs(totals - 1) < 1e-3) | (totals < 1e-6))


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(GridMismatch):
        downstream([np.zeros((2, 2, 2), bool)], IMAGES)
    with pytest.raises(MissingInput):
        downstream([], IMAGES)
