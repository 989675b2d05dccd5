"""Candidates on a grid of 1 mm whose numbers can be computed by hand."""

import numpy as np
import pytest

from adumbra.core.candidates import CandidateRule
from adumbra.core.case import Case, Scan
from adumbra.core.errors import InputRejected
from adumbra.core.geometry.grid import Grid
from adumbra.fusion.candidates.contours import candidate_contour, contour_mask, decided_draws
from adumbra.fusion.candidates.cubes import cube_grid, cube_images, cube_maps, with_missing_flow
from adumbra.fusion.candidates.examination import Look
from adumbra.fusion.candidates.extraction import extract_candidates
from adumbra.fusion.candidates.first_pass import FirstPass, first_pass

GRID = Grid((20, 12, 12), np.eye(4))
RULE = CandidateRule(low=0.1, peak=0.2)


def maps(probability, **structures):
    filled = {name: volume.astype(np.float32) for name, volume in structures.items()}
    reached = (probability >= 0.1).astype(np.float32)
    return FirstPass(GRID, probability.astype(np.float32), filled, reached)


@pytest.fixture
def two():
    """Two candidates of two voxels: peak 0.8 at (3, 5, 5), peak 0.4 at (12, 5, 5); one voxel of 0.15 alone."""
    probability = np.zeros(GRID.shape)
    probability[3:5, 5, 5] = 0.8, 0.2
    probability[12:14, 5, 5] = 0.3, 0.4
    probability[18, 5, 5] = 0.15
    return probability


def test_candidates_reach_the_low_threshold_and_somewhere_the_peak(two):
    candidates = extract_candidates(maps(two), RULE)
    assert [c.features.peak for c in candidates] == pytest.approx([0.8, 0.4])
    assert [len(c.voxels) for c in candidates] == [2, 2]
    assert len(extract_candidates(maps(two), CandidateRule(0.1, 0.2, most=1))) == 1
    assert not extract_candidates(maps(two * 0), RULE)


def test_the_features_are_weighted_by_the_probability(two):
    arteries, veins, flow = (np.zeros(GRID.shape) for _ in range(3))
    arteries[3], veins[4] = 1.0, 1.0
    flow[3, 5, 5] = 0.25
    first, second = extract_candidates(maps(two, arteries=arteries, veins=veins, flow=flow), RULE)
    features = first.features
    assert features.volume_ml == pytest.approx(0.002)
    assert features.position_mm == pytest.approx((3.2, 5.0, 5.0))
    assert features.mean_probability == pytest.approx(0.5)
    assert features.artery_share == pytest.approx(0.8)
    assert features.vein_share == pytest.approx(0.2)
    assert features.vein_excess == pytest.approx(-0.6)
    assert features.missing_flow == pytest.approx(0.8 * 0.75)
    assert features.missing_flow_around == pytest.approx(1.0), "no flow in the expected lumen around"
    assert np.isnan(second.features.missing_flow_around), "no lumen is expected near the second"
    assert second.features.artery_share == 0.0


def test_shares_are_undefined_without_structures(two):
    features = extract_candidates(maps(two), RULE)[0].features
    values = (features.artery_share, features.vein_share, features.missing_flow, features.vein_excess)
    assert np.isnan(values).all()


def test_the_agreement_is_the_largest_share_of_the_draws(two):
    draws = [two.astype(np.float32), (two * 0).astype(np.float32)]
    case = first_pass(draws, {}, GRID, low=0.1, within=np.ones(GRID.shape, bool))
    assert case.probability[3, 5, 5] == pytest.approx(0.4)
    candidates = extract_candidates(case, RULE)
    assert [c.features.agreement for c in candidates] == [0.5, 0.5]
    beyond = first_pass(draws, {}, GRID, low=0.1, within=np.zeros(GRID.shape, bool))
    assert not extract_candidates(beyond, RULE)


def test_a_rule_that_contradicts_itself_is_refused():
    for values in ({"low": 0.3, "peak": 0.2}, {"low": 0.6, "peak": 0.7}, {"most": 0}):
        with pytest.raises(InputRejected, match="candidates"):
            CandidateRule(**values)


def test_the_cube_lies_around_the_point():
    axes = Grid((9, 9, 9), np.diag([2.0, 2.0, -3.0, 1.0]))
    cube = cube_grid((10.0, 4.0, -2.0), axes, spacing_mm=0.5, side=4)
    assert cube.spacing_mm == pytest.approx((0.5, 0.5, 0.5))
    assert cube.world_mm((1.5, 1.5, 1.5)) == pytest.approx((10.0, 4.0, -2.0))
    assert cube.affine[2, 2] == -0.5


def test_missing_sequences_and_unknown_mirror_images_are_zero():
    cube = Grid((4, 4, 4), np.eye(4))
    swi = Scan(np.full(cube.shape, 2.0, np.float32), cube, cube)
    images = cube_images(Case("a", {"swi": swi}), ("swi", "tof"), mirrored=True)
    assert images.shape == (4, 4, 4, 4)
    assert (images[0] == 2).all()
    assert not images[1:].any()
    mirrored = cube_images(Case("a", {"swi": swi}, mirrors={"swi": swi}), ("swi", "tof"), mirrored=True)
    assert (mirrored[2] == 2).all()


def test_the_maps_of_a_cube_end_with_arteries_minus_flow(two):
    arteries, flow = np.full(GRID.shape, 0.75), np.full(GRID.shape, 0.25)
    cube = Grid((4, 4, 4), GRID.affine)
    channels = with_missing_flow(cube_maps(maps(two, arteries=arteries, flow=flow), cube))
    assert channels.shape == (5, 4, 4, 4)
    assert channels[0, 3].max() == 0.0, "the candidate at index (3, 5, 5) is beyond this cube"
    assert np.allclose(channels[1], 0.75)
    assert not channels[2].any(), "no network predicts veins"
    assert np.allclose(channels[4], 0.5)


def look_at(candidate, inside):
    """A look whose contour has the probability 0.9 at some voxels of the grid and 0.05 elsewhere in its cube."""
    low = candidate.voxels.min(axis=0) - 2
    affine = GRID.affine.copy()
    affine[:3, 3] = low
    contour = np.full((6, 6, 6), 0.05, np.float32)
    for voxel in inside:
        contour[tuple(np.array(voxel) - low)] = 0.9
    return Look(1.0, (contour,), Grid(contour.shape, affine))


def test_the_contour_holds_what_touches_the_candidate(two):
    case = maps(two)
    candidate = extract_candidates(case, RULE)[0]
    look = look_at(candidate, [(3, 5, 5), (3, 6, 5), (6, 8, 8)])
    contour = candidate_contour(candidate, look, case)
    expected = np.zeros(GRID.shape, bool)
    expected[3, 5:7, 5] = True
    assert np.array_equal(contour_mask([contour], GRID), expected), "(6, 8, 8) touches nothing"
    volume = np.zeros(GRID.shape, np.float32)
    volume[contour.box] = contour.shapes[0]
    assert volume[3, 6, 5] == pytest.approx(0.9)
    assert volume[6, 8, 8] == 0.0


def test_without_a_contour_the_candidate_itself_is_the_contour(two):
    case = maps(two)
    candidate = extract_candidates(case, RULE)[0]
    contour = candidate_contour(candidate, look_at(candidate, []), case)
    assert np.argwhere(contour_mask([contour], GRID)).tolist() == candidate.voxels.tolist()
    assert contour.shapes[0].max() == pytest.approx(0.8)
    assert contour.shapes[0][contour.mask].min() == 0.5


def test_a_candidate_beyond_its_cube_keeps_the_contour_of_the_first_pass():
    probability = np.zeros(GRID.shape)
    probability[2:18, 5, 5] = 0.9
    case = maps(probability)
    (candidate,) = extract_candidates(case, RULE)
    affine = GRID.affine.copy()
    affine[:3, 3] = 8, 3, 3
    contour = np.zeros((4, 5, 5), np.float32)
    contour[:, 2, 2] = 0.9
    mask = contour_mask([candidate_contour(candidate, Look(1.0, (contour,), Grid(contour.shape, affine)), case)], GRID)
    assert mask[2:18, 5, 5].all()
    assert np.count_nonzero(mask) == 16


def test_a_candidate_is_in_as_many_draws_as_it_is_probable(two, rng):
    case = maps(two)
    certain, likely = extract_candidates(case, RULE)
    contours = [candidate_contour(c, look_at(c, c.voxels), case) for c in (certain, likely)]
    draws = (two.astype(np.float32) for _ in range(100))
    decided = list(decided_draws(draws, contours, (1.0, 0.3), low=0.1, generator=rng))
    assert [draw[3, 5, 5] for draw in decided] == pytest.approx([0.9] * 100)
    present = [draw[13, 5, 5] > 0.5 for draw in decided]
    assert abs(sum(present) - 30) <= 1
    absent = [draw for draw, there in zip(decided, present, strict=True) if not there]
    assert {float(draw[13, 5, 5]) for draw in absent} == {float(np.float32(0.1))}
    assert decided[0][18, 5, 5] == np.float32(0.1), "what is no candidate is not part of a mask"
