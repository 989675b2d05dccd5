import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adumbra.inference.sliding_window import LARGEST_LOSS, gaussian_bell, windows_over


def test_a_volume_of_one_window_is_that_window():
    within = np.ones((8, 8, 8), dtype=bool)
    windows = windows_over(within, side=8, overlap=0.5)
    assert windows.corners == ((0, 0, 0),)
    piece = np.random.default_rng(0).random((8, 8, 8), dtype=np.float32)
    assert np.allclose(windows.blend([piece]), piece)


@given(
    shape=st.tuples(*[st.integers(8, 30)] * 3),
    low=st.tuples(*[st.integers(0, 7)] * 3),
    size=st.tuples(*[st.integers(1, 22)] * 3),
    overlap=st.sampled_from([0.0, 0.25, 0.5]),
)
def test_every_voxel_within_is_seen_and_windows_stay_inside(shape, low, size, overlap):
    within = np.zeros(shape, dtype=bool)
    within[tuple(slice(a, a + n) for a, n in zip(low, size, strict=True))] = True
    windows = windows_over(within, side=8, overlap=overlap)
    seen = np.zeros(shape, dtype=bool)
    for box in windows.boxes():
        assert seen[box].shape == (8, 8, 8)
        seen[box] = True
    assert seen[within].all()


def test_windows_overlap_as_asked():
    within = np.ones((40, 8, 8), dtype=bool)
    starts = [c[0] for c in windows_over(within, side=8, overlap=0.5).corners]
    assert starts[0] == 0
    assert starts[-1] == 32
    assert max(np.diff(starts)) <= 4


def test_windows_without_brain_are_left_out():
    within = np.zeros((32, 8, 8), dtype=bool)
    within[:4], within[-4:] = True, True
    assert len(windows_over(within, side=8, overlap=0.0).corners) == 2
    assert windows_over(np.zeros((8, 8, 8), dtype=bool), side=8, overlap=0.0).corners == ()


def test_blending_is_a_weighted_mean():
    windows = windows_over(np.ones((12, 8, 8), dtype=bool), side=8, overlap=0.5)
    assert [c[0] for c in windows.corners] == [0, 4]
    ones = np.ones((8, 8, 8), dtype=np.float32)
    out = windows.blend([0.0 * ones, ones])
    assert np.allclose(out[:4], 0.0)
    assert np.allclose(out[8:], 1.0)
    bell = gaussian_bell(8)
    assert out[5, 4, 4] == pytest.approx(bell[1, 4, 4] / (bell[5, 4, 4] + bell[1, 4, 4]), rel=1e-5)


def test_equal_pieces_blend_to_themselves():
    windows = windows_over(np.ones((20, 15, 11), dtype=bool), side=8, overlap=0.25)
    piece = np.full((8, 8, 8), 0.3, dtype=np.float32)
    assert np.allclose(windows.blend([piece] * len(windows.corners)), 0.3)


def test_the_bell_is_highest_amid_and_never_zero():
    bell = gaussian_bell(8)
    assert bell.max() == bell[3, 3, 3] == bell[4, 4, 4] == 1.0
    assert bell.min() == bell[0, 0, 0] == pytest.approx(1e-3)


def test_volumes_blended_together_are_those_blended_alone():
    windows = windows_over(np.ones((12, 8, 8), dtype=bool), side=8, overlap=0.25)
    pieces = np.random.default_rng(0).random((len(windows.corners), 3, 8, 8, 8), dtype=np.float32)
    together = windows.blend_channels(pieces, count=3)
    assert all(np.array_equal(together[n], windows.blend(pieces[:, n])) for n in range(3))


def test_fewer_windows_change_requested_probabilities_within_the_loss():
    generator = np.random.default_rng(0)
    windows = windows_over(np.ones((40, 24, 24), dtype=bool), side=16, overlap=0.5)
    pieces = dict(zip(windows.corners, generator.random((len(windows.corners), 16, 16, 16)), strict=True))
    requested = np.zeros(windows.shape, dtype=bool)
    requested[1:4, 2:5, 2:5] = requested[20, 12, 12] = True
    fewer = windows.restricted(requested)
    assert 0 < len(fewer.corners) < len(windows.corners)
    whole, part = (each.blend([pieces[corner] for corner in each.corners]) for each in (windows, fewer))
    assert np.abs(whole - part)[requested].max() <= LARGEST_LOSS + 1e-6
    assert windows.restricted(np.ones(windows.shape, dtype=bool)).corners == windows.corners
    assert windows.restricted(np.zeros(windows.shape, dtype=bool)).corners == ()
    exact = windows.restricted(requested, largest_loss=0.0)
    assert np.array_equal(exact.blend([pieces[c] for c in exact.corners])[requested], whole[requested])
