"""Regional uncertainty: by hand on a row of voxels, then against brute force over the pairs of draws."""

import tracemalloc
from itertools import combinations
from math import isnan, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adumbra.core.errors import GridMismatch, InputRejected
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import citations
from adumbra.uncertainty.maps import summarise
from adumbra.uncertainty.regional import (
    DrawMasks,
    RegionalUncertainty,
    bounding_box,
    components_by_size,
    nearest_component,
    regional_uncertainty,
)

ROW = Grid((8, 1, 1), np.diag([10.0, 10.0, 10.0, 1.0]))  # each voxel is a millilitre


def row(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32).reshape(-1, 1, 1)


def regional(draws: list[np.ndarray], grid: Grid, *, reach_mm: float = 5.0, **options) -> RegionalUncertainty:
    draw_masks = DrawMasks(stored=options.pop("stored", 64))
    maps, volumes = summarise(draws, target="lesion", grid=grid, draw_masks=draw_masks, **options)
    return regional_uncertainty(maps, volumes, draw_masks, reach_mm=reach_mm)


def brute_force_dice(masks: np.ndarray) -> tuple[float, float]:
    """Expected overlap over expected size, and the unweighted mean Dice, over all pairs of draws."""
    overlaps, sizes, dices = [], [], []
    for a, b in combinations(masks.reshape(len(masks), -1), 2):
        overlaps.append(float((a & b).sum()))
        sizes.append((a.sum() + b.sum()) / 2)
        dices.append(overlaps[-1] / sizes[-1] if sizes[-1] else 1.0)
    return (sum(overlaps) / sum(sizes) if sum(sizes) else 1.0), float(np.mean(dices))


def test_two_lesions_by_hand() -> None:
    """The left lesion has 2, 2 and 1 voxels in the three draws; the right one has 1, 0 and 1."""
    draws = [
        row(1, 1, 0, 0, 0, 0, 1, 0),
        row(1, 1, 0, 0, 0, 0, 0, 0),
        row(1, 0, 0, 0, 0, 0, 1, 0),
    ]
    result = regional(draws, ROW)
    left, right = result.components
    assert (left.volume_ml, right.volume_ml, result.case.volume_ml) == pytest.approx((2.0, 1.0, 3.0))
    assert left.position_mm == pytest.approx((5.0, 0.0, 0.0))  # between the centres of voxels 0 and 1
    assert right.position_mm == pytest.approx((60.0, 0.0, 0.0))
    assert result.case.position_mm == pytest.approx((70.0 / 3, 0.0, 0.0))
    # counts 3 and 2: Σ c (c - 1) = 6 + 2, Σ c = 5, n - 1 = 2
    assert left.draws_dice == pytest.approx(8 / 10)
    assert right.draws_dice == pytest.approx(2 / 4)
    assert result.case.draws_dice == pytest.approx(10 / 14)
    assert left.mean_draw_ml == pytest.approx(5 / 3)
    assert left.volume_cv == pytest.approx(sqrt(1 / 3) / (5 / 3))  # variance of 2, 2, 1 is 1/3
    assert right.volume_cv == pytest.approx(sqrt(1 / 3) / (2 / 3))
    assert result.case.volume_cv == pytest.approx(0.5 / (7 / 3) * sqrt(4 / 3))  # of 3, 2, 2
    assert (left.positive_share, right.positive_share, result.case.positive_share) == (1.0, pytest.approx(2 / 3), 1.0)
    third = -(log(1 / 3) / 3 + 2 / 3 * log(2 / 3))
    assert left.mean_entropy == pytest.approx(third / 2)  # the first voxel is certain
    assert right.mean_entropy == pytest.approx(third)
    assert result.case.mean_entropy == pytest.approx(2 * third / 3)
    assert (result.draws, result.stored_draws, result.reach_mm) == (3, 3, 5.0)


def test_voxels_within_reach_count_and_others_do_not() -> None:
    """Draw 2 adds a voxel 10 mm from the lesion and one 40 mm from it."""
    draws = [row(1, 1, 0, 0, 0, 0, 0, 0), row(1, 1, 1, 0, 0, 1, 0, 0), row(1, 1, 0, 0, 0, 0, 0, 0)]
    close, wide = (regional(draws, ROW, reach_mm=reach) for reach in (9.9, 10.0))
    assert close.components[0].mean_draw_ml == pytest.approx(2.0)
    assert close.components[0].draws_dice == 1.0
    assert close.components[0].volume_cv == 0.0
    assert wide.components[0].mean_draw_ml == pytest.approx(7 / 3)
    assert wide.components[0].volume_cv == pytest.approx(sqrt(1 / 3) / (7 / 3))
    assert close.case.mean_draw_ml == wide.case.mean_draw_ml == pytest.approx(8 / 3)


@given(arrays(bool, (5, 4, 3, 2)))
def test_the_case_agrees_with_brute_force_over_pairs(masks: np.ndarray) -> None:
    result = regional(list(masks.astype(np.float32)), Grid((4, 3, 2), np.eye(4))).case
    ratio, plain = brute_force_dice(masks)
    assert result.draws_dice == pytest.approx(ratio, abs=1e-12)
    sizes = masks.reshape(5, -1).sum(axis=1)
    pairs = list(combinations(sizes, 2))
    weights = np.array([a + b for a, b in pairs], dtype=float)
    if weights.all():
        dices = [brute_force_dice(masks[[i, j]])[1] for i, j in combinations(range(5), 2)]
        bound = float(np.std(dices) * np.std(weights) / np.mean(weights))
        assert abs(result.draws_dice - plain) <= bound + 1e-12
    if sizes.sum():
        assert result.volume_cv == pytest.approx(np.std(sizes, ddof=1) / np.mean(sizes))
        assert result.positive_share == np.mean(sizes > 0)


def test_draws_of_one_size_have_the_unweighted_mean_of_draws_dice(rng: np.random.Generator) -> None:
    masks = np.array([rng.permutation(24) < 9 for _ in range(6)]).reshape(6, 4, 3, 2)
    ratio, plain = brute_force_dice(masks)
    assert ratio == pytest.approx(plain, abs=1e-12)
    assert regional(list(masks.astype(np.float32)), Grid((4, 3, 2), np.eye(4))).case.draws_dice == pytest.approx(plain)


@given(arrays(bool, (4, 6, 5, 2)), st.sampled_from([0.0, 1.0, 1.5, 4.0]))
def test_components_agree_with_brute_force_in_their_regions(masks: np.ndarray, reach_mm: float) -> None:
    grid = Grid((6, 5, 2), np.diag([1.0, 1.0, 3.0, 1.0]))
    draw_masks = DrawMasks()
    maps, draws = summarise(list(masks.astype(np.float32)), target="lesion", grid=grid, draw_masks=draw_masks)
    result = regional_uncertainty(maps, draws, draw_masks, reach_mm=reach_mm)
    labels, count = components_by_size(maps.mask)
    regions = nearest_component(labels, grid, reach_mm=reach_mm)
    assert len(result.components) == count
    for number, part in enumerate(result.components, start=1):
        inside = masks & (regions == number)
        sizes = inside.reshape(4, -1).sum(axis=1)
        assert part.draws_dice == pytest.approx(brute_force_dice(inside)[0], abs=1e-12)
        assert part.mean_draw_ml == pytest.approx(sizes.mean() * grid.voxel_ml)
        assert part.positive_share == np.mean(sizes > 0)
        if sizes.any():
            assert part.volume_cv == pytest.approx(np.std(sizes, ddof=1) / np.mean(sizes))


@given(arrays(bool, (7, 6, 2), elements=st.booleans()), st.floats(0.0, 12.0))
def test_the_nearest_component_agrees_with_brute_force(mask: np.ndarray, reach_mm: float) -> None:
    grid = Grid((7, 6, 2), np.diag([1.0, 2.0, 5.0, 1.0]))
    labels, count = components_by_size(mask)
    regions = nearest_component(labels, grid, reach_mm=reach_mm)
    if count == 0:
        assert not regions.any()
        return
    own, everywhere = (np.argwhere(m) * grid.spacing_mm for m in (labels > 0, np.ones_like(mask)))
    distances = np.linalg.norm(everywhere[:, None] - own[None], axis=-1)
    nearest = distances.min(axis=1)
    clear = abs(nearest - reach_mm) > 1e-9
    np.testing.assert_array_equal((regions.ravel() > 0)[clear], (nearest <= reach_mm)[clear])
    for at in np.flatnonzero(regions):
        same = labels[labels > 0] == regions.ravel()[at]
        assert distances[at][same].min() == pytest.approx(nearest[at])


def test_identical_draws_agree_exactly(rng: np.random.Generator) -> None:
    draw = (rng.random((6, 5, 4)) > 0.6).astype(np.float32)
    result = regional([draw] * 7, Grid((6, 5, 4), np.diag([0.7, 0.9, 1.1, 1.0])))
    for region in (result.case, *result.components):
        assert (region.draws_dice, region.volume_cv, region.positive_share) == (1.0, 0.0, 1.0)
        assert region.mean_entropy == 0.0
        assert region.mean_draw_ml == pytest.approx(region.volume_ml)


def test_agreement_is_undefined_for_one_draw() -> None:
    result = regional([row(1, 1, 0, 0, 0, 0, 0, 0)], ROW)
    for region in (result.case, *result.components):
        assert isnan(region.draws_dice)
        assert isnan(region.volume_cv)
        assert region.mean_draw_ml == pytest.approx(2.0)


def test_empty_draws_agree() -> None:
    result = regional([row(*[0.1] * 8)] * 3, ROW)
    assert result.components == ()
    case = result.case
    assert (case.volume_ml, case.position_mm, case.draws_dice, case.positive_share) == (0.0, None, 1.0, 0.0)
    assert isnan(case.mean_entropy)
    assert isnan(case.volume_cv)


def test_an_empty_mask_can_have_draws_that_are_not_empty() -> None:
    """Each draw has another voxel: the mean is below the threshold, and the draws do not overlap."""
    result = regional([row(1, 0, 0, 0, 0, 0, 0, 0), row(0, 0, 0, 1, 0, 0, 0, 0), row(0, 0, 0, 0, 0, 1, 0, 0)], ROW)
    assert result.components == ()
    assert (result.case.draws_dice, result.case.volume_cv, result.case.positive_share) == (0.0, 0.0, 1.0)


@given(arrays(np.float32, (3, 5, 4, 2), elements=st.floats(0, 1, width=32)), st.sampled_from([0.0, 0.6, 0.8]))
def test_each_component_is_positive_in_some_draw(stack: np.ndarray, high: float) -> None:
    """A mean is never above all of its values, so some draw reaches the high threshold in each component."""
    result = regional(list(stack), Grid((5, 4, 2), np.eye(4)), threshold=0.4, high_threshold=high, reach_mm=0.0)
    assert all(part.positive_share > 0 for part in result.components)


def test_components_are_ordered_by_size_then_by_place() -> None:
    mask = np.array([1, 0, 1, 1, 0, 1, 0, 1, 1], dtype=bool).reshape(9, 1, 1)
    labels, count = components_by_size(mask)
    assert count == 4
    assert labels.ravel().tolist() == [3, 0, 1, 1, 0, 4, 0, 2, 2]


def test_voxels_that_touch_at_a_corner_are_one_component() -> None:
    mask = np.zeros((3, 3, 3), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert components_by_size(mask)[1] == 1


def test_more_draws_than_are_stored(rng: np.random.Generator) -> None:
    """Counts are those of all draws, and volumes of components those of the first four."""
    draws = [np.where(rng.random((8, 1, 1)) < 0.5, 1, 0).astype(np.float32) for _ in range(9)]
    for draw in draws:
        draw[:2] = 1.0
    everything, first = regional(draws, ROW, reach_mm=0.0), regional(draws, ROW, reach_mm=0.0, stored=4)
    assert (first.draws, first.stored_draws, everything.stored_draws) == (9, 4, 9)
    assert first.case == everything.case
    lead, whole = first.components[0], everything.components[0]
    assert lead.draws_dice == whole.draws_dice
    assert lead.mean_draw_ml != whole.mean_draw_ml or lead.volume_cv != whole.volume_cv


def test_memory_does_not_grow_with_the_draws() -> None:
    shape = (32, 32, 32)
    mask = np.zeros(shape, dtype=bool)
    mask[4:9, 4:9, 4:9] = True

    def peak(n: int) -> int:
        tracemalloc.start()
        draw_masks = DrawMasks(stored=8)
        for _ in range(n):
            draw_masks.add(mask)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(200) <= 1.05 * peak(9)


def test_the_box_around_an_empty_mask_is_empty() -> None:
    nothing = np.zeros((4, 4, 4), dtype=bool)
    assert nothing[bounding_box(nothing, Grid((4, 4, 4), np.eye(4)), reach_mm=3.0)].size == 0


def test_an_infinite_reach_covers_the_case() -> None:
    result = regional([row(0, 1, 0, 0, 0, 0, 0, 1), row(0, 1, 0, 0, 0, 0, 0, 0)], ROW, reach_mm=float("inf"))
    assert sum(part.mean_draw_ml for part in result.components) == pytest.approx(result.case.mean_draw_ml)


def test_masks_of_other_draws_are_refused() -> None:
    draw_masks = DrawMasks()
    for _ in range(2):
        maps, draws = summarise([row(*[1] * 8)], target="lesion", grid=ROW, draw_masks=draw_masks)
    with pytest.raises(InputRejected, match="2 draws"):
        regional_uncertainty(maps, draws, draw_masks)
    with pytest.raises(InputRejected, match="0 draws"):
        regional_uncertainty(maps, draws, DrawMasks())


def test_masks_of_another_grid_are_refused() -> None:
    draw_masks = DrawMasks()
    maps, draws = summarise([row(*[1] * 8)], target="lesion", grid=ROW)
    draw_masks.add(np.ones((2, 2, 2), dtype=bool))
    with pytest.raises(GridMismatch, match="draw masks"):
        regional_uncertainty(maps, draws, draw_masks)
    with pytest.raises(GridMismatch, match="draw 2"):
        draw_masks.add(np.ones((2, 2, 1), dtype=bool))


@pytest.mark.parametrize("bad", [-1.0, float("nan")])
def test_a_reach_that_is_not_a_distance_is_refused(bad: float) -> None:
    with pytest.raises(InputRejected, match="reach_mm"):
        regional([row(*[1] * 8)], ROW, reach_mm=bad)


def test_a_single_stored_draw_is_refused() -> None:
    with pytest.raises(InputRejected, match="stored"):
        DrawMasks(stored=1)


def test_the_method_names_its_papers() -> None:
    assert "Roy2019" in citations(regional_uncertainty)
