"""Uncertainty maps: by hand on two voxels and two draws, then properties of any draws."""

import tracemalloc
from collections.abc import Iterator
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import citations
from adumbra.uncertainty.maps import margin, summarise
from adumbra.uncertainty.regional import DrawMasks

LN2 = float(np.float32(log(2.0)))


def grid_of(shape: tuple[int, int, int], spacing_mm: float = 10.0) -> Grid:
    return Grid(shape, np.diag([spacing_mm] * 3 + [1.0]))


def volume(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32).reshape(len(values), 1, 1)


def test_two_voxels_two_draws_by_hand() -> None:
    """Voxel 0 is 0, then 1, so it is all epistemic. Voxel 1 is 0.5 twice, so it is all aleatoric."""
    maps, draws = summarise([volume(0, 0.5), volume(1, 0.5)], target="lesion", grid=grid_of((2, 1, 1)))
    np.testing.assert_array_equal(maps.probability.ravel(), [0.5, 0.5])
    np.testing.assert_allclose(maps.entropy.ravel(), [log(2), log(2)], rtol=1e-7)
    np.testing.assert_allclose(maps.aleatoric.ravel(), [0.0, log(2)], rtol=1e-7)
    np.testing.assert_allclose(maps.epistemic.ravel(), [log(2), 0.0], rtol=1e-7)
    np.testing.assert_array_equal(maps.variance.ravel(), [0.25, 0.0])
    np.testing.assert_array_equal(maps.mask.ravel(), [True, True])
    assert draws.volumes_ml == pytest.approx((1.0, 2.0))  # one voxel of 10 mm is one ml
    assert draws.components == (1, 1)
    assert (maps.draws, maps.threshold, maps.target) == (2, 0.5, "lesion")


def test_a_quarter_by_hand() -> None:
    """Draws 0.1 and 0.4: mean 0.25, variance 0.0225, entropies by the formula."""
    maps, _ = summarise([volume(0.1), volume(0.4)], target="lesion", grid=grid_of((1, 1, 1)))
    total = -(0.25 * log(0.25) + 0.75 * log(0.75))
    expected = -(0.1 * log(0.1) + 0.9 * log(0.9) + 0.4 * log(0.4) + 0.6 * log(0.6)) / 2
    assert maps.variance.item() == pytest.approx(0.0225, rel=1e-6)
    assert maps.entropy.item() == pytest.approx(total, rel=1e-6)
    assert maps.aleatoric.item() == pytest.approx(expected, rel=1e-6)
    assert maps.epistemic.item() == pytest.approx(total - expected, rel=1e-6)
    assert not maps.mask.any()


def test_components_touching_at_a_corner_are_one() -> None:
    draw = np.zeros((4, 4, 4), dtype=np.float32)
    draw[0, 0, 0] = draw[1, 1, 1] = draw[3, 3, 3] = 1.0
    _, draws = summarise([draw], target="lesion", grid=grid_of((4, 4, 4)))
    assert draws.components == (2,)
    assert draws.volumes_ml == pytest.approx((3.0,))


def test_outside_the_analysed_region_all_maps_and_volumes_are_zero() -> None:
    within = np.array([True, False]).reshape(2, 1, 1)
    maps, draws = summarise([volume(0.6, 0.9)], target="lesion", grid=grid_of((2, 1, 1)), within=within)
    for each in (maps.probability, maps.entropy, maps.aleatoric, maps.variance):
        assert each[1, 0, 0] == 0.0
    assert maps.mask.ravel().tolist() == [True, False]
    assert draws.volumes_ml == pytest.approx((1.0,))


def test_an_empty_analysed_region_gives_zeros() -> None:
    nowhere = np.zeros((2, 1, 1), dtype=bool)
    maps, draws = summarise([volume(0.6, 0.9)], target="lesion", grid=grid_of((2, 1, 1)), within=nowhere)
    assert not maps.mask.any()
    assert not maps.entropy.any()
    assert draws.volumes_ml == (0.0,)
    assert draws.components == (0,)


def test_a_mask_is_what_thresholding_the_written_probability_gives() -> None:
    draws = [volume(0.3, 0.1, 0.7, 0.2).reshape(2, 2, 1), volume(0.3, 0.5, 0.1, 0.3).reshape(2, 2, 1)]
    maps, _ = summarise(draws, target="lesion", grid=grid_of((2, 2, 1)), threshold=0.3)
    np.testing.assert_array_equal(maps.mask, maps.probability >= np.float32(0.3))
    assert maps.mask.ravel().tolist() == [True, True, True, False]


def test_a_component_below_the_high_threshold_is_excluded_from_mask_and_draws() -> None:
    draws = [volume(0.4, 0.8, 0.0, 0.6, 0.0, 0.9), volume(0.4, 0.8, 0.0, 0.6, 0.0, 0.3)]
    maps, counted = summarise(draws, target="lesion", grid=grid_of((6, 1, 1)), threshold=0.35, high_threshold=0.7)
    assert maps.mask.ravel().tolist() == [True, True, False, False, False, False]
    assert counted.components == (2, 1)
    assert counted.volumes_ml == pytest.approx((3 * maps.grid.voxel_ml, 2 * maps.grid.voxel_ml))
    assert (maps.threshold, maps.high_threshold) == (0.35, 0.7)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (4, 3, 2, 2), elements=st.floats(0, 1, width=32)))
def test_bounds_of_the_maps_of_any_draws(stack: np.ndarray) -> None:
    maps, draws = summarise(iter(stack), target="lesion", grid=grid_of((3, 2, 2)))
    assert (maps.epistemic >= 0).all()
    assert (maps.epistemic <= maps.entropy).all()
    assert (maps.entropy <= LN2).all()
    assert (maps.aleatoric >= 0).all()
    assert (maps.variance >= 0).all()
    assert (maps.variance <= 0.25).all()
    np.testing.assert_allclose(maps.aleatoric + maps.epistemic, maps.entropy, atol=2e-7)
    np.testing.assert_allclose(maps.probability, stack.mean(axis=0, dtype=np.float64), atol=1e-7)
    np.testing.assert_allclose(maps.variance, stack.var(axis=0, dtype=np.float64), atol=1e-7)
    again, _ = summarise(iter(stack[::-1]), target="lesion", grid=grid_of((3, 2, 2)))
    np.testing.assert_allclose(again.epistemic, maps.epistemic, atol=2e-7)
    assert len(draws.volumes_ml) == len(draws.components) == 4


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (3, 2, 2), elements=st.floats(0, 1, width=32)), st.integers(1, 7))
def test_identical_draws_have_no_epistemic_part(draw: np.ndarray, n: int) -> None:
    maps, _ = summarise([draw] * n, target="lesion", grid=grid_of((3, 2, 2)))
    assert not maps.variance.any()
    assert not maps.epistemic.any()
    np.testing.assert_array_equal(maps.probability, draw)
    np.testing.assert_array_equal(maps.entropy, maps.aleatoric)


def test_memory_does_not_grow_with_the_draws() -> None:
    shape = (40, 40, 40)

    def peak(n: int) -> int:
        generator = np.random.default_rng(0)
        stream: Iterator[np.ndarray] = (generator.random(shape, dtype=np.float32) for _ in range(n))
        tracemalloc.start()
        summarise(stream, target="lesion", grid=grid_of(shape))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)  # allocates what is allocated once
    assert peak(12) <= 1.05 * peak(2)


def test_three_targets_of_a_whole_head_fit_into_two_gigabytes() -> None:
    """256 x 256 x 160 voxels, every one analysed: two gigabytes are 190 bytes for each of them."""
    shape = (80, 80, 80)
    tracemalloc.start()
    results = []
    for target in ("lesion", "thrombus", "hypoperfusion"):
        draws = (np.full(shape, p, dtype=np.float32) for p in (0.2, 0.3, 0.4))
        results.append(summarise(draws, target=target, grid=grid_of(shape), draw_masks=DrawMasks()))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    blocks = 80 * 2**18  # the size of a block does not depend on the volume
    assert most - blocks <= 190 * 80**3


def test_the_maps_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    stack = rng.random((3, 5, 4, 3), dtype=np.float32)
    whole, _ = summarise(iter(stack), target="lesion", grid=grid_of((5, 4, 3)))
    monkeypatch.setattr("adumbra.uncertainty.maps.BLOCK", 7)  # 60 voxels: eight blocks and a rest
    parts, _ = summarise(iter(stack), target="lesion", grid=grid_of((5, 4, 3)))
    for name in ("probability", "entropy", "aleatoric", "epistemic", "variance"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_the_margin_by_hand() -> None:
    probability = np.array([0.0, 0.25, 0.5, 0.9, 1.0], dtype=np.float32)
    np.testing.assert_allclose(margin(probability), [1.0, 0.5, 0.0, 0.8, 1.0], rtol=1e-6)
    assert margin(probability).dtype == np.float32


class CountingProgress:
    """Counts the items of a progress bar."""

    def __init__(self) -> None:
        self.items, self.total = 0, None

    def track(self, items, *, what, total=None):  # noqa: ARG002
        self.total = total
        for item in items:
            self.items += 1
            yield item


def test_progress_advances_with_each_draw() -> None:
    progress = CountingProgress()
    summarise([volume(0.2)] * 3, target="lesion", grid=grid_of((1, 1, 1)), progress=progress)
    assert (progress.items, progress.total) == (3, 3)


def test_no_draws_is_an_error() -> None:
    with pytest.raises(MissingInput, match="at least one draw"):
        summarise([], target="lesion", grid=grid_of((1, 1, 1)))


@pytest.mark.parametrize("bad", [-0.01, 1.01, float("nan"), float("inf")])
def test_values_that_are_not_probabilities_are_refused(bad: float) -> None:
    with pytest.raises(ImplausibleValues, match="draw 2"):
        summarise([volume(0.5), volume(bad)], target="lesion", grid=grid_of((1, 1, 1)))


def test_rounding_beyond_one_is_clipped() -> None:
    maps, _ = summarise([volume(1.0000001)], target="lesion", grid=grid_of((1, 1, 1)))
    assert maps.probability.item() == 1.0
    assert maps.entropy.item() == 0.0


def test_a_draw_or_region_of_another_shape_is_refused() -> None:
    with pytest.raises(GridMismatch, match="draw 1"):
        summarise([volume(0.5, 0.5)], target="lesion", grid=grid_of((1, 1, 1)))
    with pytest.raises(GridMismatch, match="analysed region"):
        summarise([volume(0.5, 0.5)], target="lesion", grid=grid_of((1, 1, 1)), within=np.ones((2, 1, 1), dtype=bool))


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1, float("nan")])
def test_a_threshold_that_no_voxel_or_every_voxel_reaches_is_refused(threshold: float) -> None:
    with pytest.raises(InputRejected, match="threshold"):
        summarise([volume(0.5)], target="lesion", grid=grid_of((1, 1, 1)), threshold=threshold)


def test_the_method_names_its_papers() -> None:
    assert "Depeweg2018" in citations(summarise)


GRID = Grid((3, 2, 2), np.diag([2.0, 2.0, 2.0, 1.0]))


def test_sampling_stops_at_the_standard_error():
    """Draws of 0.4 and 0.6 in turn have a standard deviation of 0.1, and their mean has one of about 0.1 / √n."""
    taken = []

    def alternating():
        for number in range(100):
            taken.append(number)
            yield np.full(GRID.shape, 0.4 if number % 2 else 0.6, dtype=np.float32)

    maps, _ = summarise(alternating(), target="lesion", grid=GRID, standard_error=0.0249)
    assert maps.draws == len(taken) == 18, "0.1 / √17 < 0.0249 from the 18th draw on"


def test_identical_draws_stop_at_the_smallest_number():
    same = [np.full(GRID.shape, 0.3, dtype=np.float32)] * 30
    assert summarise(same, target="lesion", grid=GRID, standard_error=1e-6)[0].draws == 8
    assert summarise(same, target="lesion", grid=GRID)[0].draws == 30
