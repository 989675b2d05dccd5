"""The upstream prior of lesions whose territory is known."""

import numpy as np
import pytest

from adumbra.core.atlas.deformation import DEGREES, Deformation
from adumbra.core.atlas.upstream import LEAST_PROBABILITY, mirrored_shares, upstream_shares
from adumbra.core.atlas.vessels import (
    ARTERIES,
    SEGMENTS,
    artery_numbers,
    opposite_segments,
    supply_atlas,
    territory_members,
    vessel_atlas,
)

IDENTITY = Deformation(np.eye(4), np.zeros((3, len(DEGREES))))


def territory(name):
    """The probability that a place lies in the territory of a segment, and the brain, on the grid of the atlas."""
    atlas = supply_atlas()
    members = territory_members()[SEGMENTS.index(name)]
    return atlas.shares[members].sum(axis=0), atlas.shares.sum(axis=0) > 0, atlas.grid


def test_a_lesion_of_the_left_middle_cerebral_artery_points_to_it_and_to_the_carotid():
    share, brain, grid = territory("M1 left")
    lesion = (share > 0.999) & (np.indices(share.shape)[2] > 25)
    shares = upstream_shares(lesion.astype(np.float32), brain, grid, IDENTITY)
    own = {name: shares[SEGMENTS.index(name)] for name in SEGMENTS}
    assert own["M1 left"][0] == own["ICA left"][0] == pytest.approx(1.0)
    assert own["M1 left"][1] == pytest.approx(lesion.sum() / share[brain].sum(), rel=1e-5)
    assert 0 < own["ICA left"][1] < own["M1 left"][1]
    for name in ("M1 right", "ICA right", "A1 left", "A2 left", "P1 left", "basilar", "SCA left", ""):
        assert own[name].tolist() == [0, 0]
    parts = [own[name][0] for name in ("M1 perforators left", "M2 superior left", "M2 inferior left")]
    assert sum(parts) + own["M1 branches left"][0] == pytest.approx(1.0, abs=1e-5)


def test_the_mirrored_lesion_has_mirrored_shares():
    share, brain, grid = territory("M2 superior right")
    lesion = (share * (np.indices(share.shape)[1] > 30)).astype(np.float32)
    shares = upstream_shares(lesion, brain, grid, IDENTITY)
    other = upstream_shares(lesion[::-1].copy(), brain[::-1], grid, IDENTITY)
    np.testing.assert_allclose(other, mirrored_shares(shares), atol=1e-5)
    assert shares[SEGMENTS.index("M2 superior right")][0] > 0.8


def test_no_lesion_and_an_improbable_one_have_no_shares():
    share, brain, grid = territory("M1 left")
    for probability in (np.zeros_like(share), np.full_like(share, 0.9 * LEAST_PROBABILITY)):
        assert (upstream_shares(probability, brain, grid, IDENTITY) == 0).all()


def test_a_head_beyond_the_atlas_has_no_shares():
    _, brain, grid = territory("M1 left")
    far = Deformation(np.eye(4) + np.eye(4, k=3) * 1e4, np.zeros((3, len(DEGREES))))
    assert (upstream_shares(brain.astype(np.float32), brain, grid, far) == 0).all()


def test_territories_consist_of_the_arteries_downstream():
    members = {name: {ARTERIES[i] for i in np.flatnonzero(row)}
               for name, row in zip(SEGMENTS, territory_members(), strict=True)}  # fmt: skip
    assert members["M2 superior right"] == {"M2 superior right", "M3 frontal right", "M3 central right"}
    assert members["M2 superior branches right"] == {"M2 superior right"}
    assert {"M1 left", "A3 left", "AChA left"} < members["ICA left"]
    assert not any("right" in name or name.startswith(("P", "basilar")) for name in members["ICA left"])
    assert {"P3 left", "P3 right", "SCA left", "AICA right", "basilar"} < members["basilar"]
    assert "PICA left" not in members["basilar"]
    assert members["vertebral left"] == {"vertebral left", "PICA left"}
    assert members[""] == set()


def test_labels_of_twigs_and_of_the_other_side():
    numbers, opposite = artery_numbers(), opposite_segments()
    assert SEGMENTS[numbers[SEGMENTS.index("P2 branches left")]] == "P2 left"
    assert numbers[0] == 0
    assert SEGMENTS[opposite[SEGMENTS.index("P2 branches left")]] == "P2 branches right"
    assert opposite[SEGMENTS.index("basilar")] == SEGMENTS.index("basilar")
    np.testing.assert_array_equal(opposite[opposite], np.arange(len(SEGMENTS)))


def test_the_atlas_is_symmetric_and_small():
    atlas = vessel_atlas()
    np.testing.assert_array_equal(atlas.probability, atlas.probability[:, ::-1])
    assert (opposite_segments()[atlas.segments[::-1]] == atlas.segments).mean() > 0.99  # the midline has one side
    assert (atlas.segments[atlas.probability[0] > 0.1] > 0).all()
    np.testing.assert_allclose(supply_atlas().shares.sum(axis=0).max(), 1.0, atol=1e-5)
