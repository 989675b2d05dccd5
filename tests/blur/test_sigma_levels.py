import numpy as np
import pytest

from adumbra.blur.sigma_levels import blur_matrix, sigma_levels


def gaussian(sigma, reach=40):
    n = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (n / sigma) ** 2) * (np.abs(n) <= int(4 * sigma + 0.5))
    return weights / weights.sum()


def in_3d(sigma_mm, spacing_mm):
    return np.einsum("i,j,k->ijk", *(gaussian(max(sigma_mm, 1e-3) / h, reach=12) for h in spacing_mm))


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.8, 1.0, 2.5)])
def test_no_gaussian_is_missed_by_more_than_the_tolerance(spacing_mm):
    levels = sigma_levels(spacing_mm, 2.5, 0.01)
    worst = 0.0
    for sigma_mm in np.linspace(0.05, 2.4, 60):
        fractional = np.interp(
            sigma_mm, levels.step_mm * np.arange(len(levels.fractional_levels)), levels.fractional_levels
        )
        below, share = int(fractional), fractional % 1
        low, high = (in_3d(levels.levels_mm[level], spacing_mm) for level in (below, below + 1))
        true = in_3d(sigma_mm, spacing_mm)
        worst = max(worst, np.linalg.norm((1 - share) * low + share * high - true) / np.linalg.norm(true))
    assert 0.007 < worst < 0.0102  # and the levels are no denser than they must be


def test_fractional_levels_rise_from_level_to_level():
    levels = sigma_levels((1.0, 1.0, 1.0), 3.0, 0.01)
    assert levels.fractional_levels[0] == 0.0
    assert levels.fractional_levels[-1] == len(levels.levels_mm) - 1
    assert (np.diff(levels.fractional_levels) >= 0).all()
    at = np.round(np.array(levels.levels_mm) / levels.step_mm).astype(int)
    np.testing.assert_array_equal(levels.fractional_levels[at], np.arange(len(at)))
    assert levels.levels_mm[-1] >= 3.0


def test_a_higher_top_adds_levels_and_moves_none():
    low, high = (sigma_levels((1.0, 1.0, 3.0), top, 0.01) for top in (3.0, 12.0))
    assert high.levels_mm[: len(low.levels_mm)] == low.levels_mm
    np.testing.assert_allclose(high.fractional_levels[: len(low.fractional_levels)], low.fractional_levels, atol=1e-12)


def test_a_larger_tolerance_needs_fewer_levels():
    counts = [len(sigma_levels((1.0, 1.0, 1.0), 3.0, t).levels_mm) for t in (0.05, 0.01, 0.001)]
    assert counts == sorted(set(counts))
    # The error of a mixture goes with the square of the stride.
    assert counts[2] / counts[1] == pytest.approx(10**0.5, rel=0.25)


@pytest.mark.parametrize(("length", "sigma"), [(9, 1.3), (5, 4.0), (1, 2.0), (7, 0.0)])
def test_rows_are_averages_of_a_mirrored_row(length, sigma):
    matrix = blur_matrix(length, sigma)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-16)
    row = np.arange(length) ** 2.0
    reach = int(4 * sigma + 0.5)
    mirrored = np.pad(row, reach, mode="symmetric") if length > 1 else np.zeros(2 * reach + 1)
    expected = np.convolve(mirrored, gaussian(max(sigma, 1e-3), reach), mode="valid")
    np.testing.assert_allclose(matrix @ row, expected, atol=1e-12)
