"""Scans as they are shown: no noise in the air, the head as it is, and the stored scan unchanged."""

from collections.abc import Callable

import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.report.head_mask import without_air


def test_the_adc_is_black_in_the_air_and_as_stored_in_the_brain(
    grid: Grid, brain: np.ndarray, ball: Callable[..., np.ndarray]
) -> None:
    rng = np.random.default_rng(0)
    head = ball((0, 0, 5), (66, 78, 66)) < 1
    signal = np.where(head, 100.0, rng.rayleigh(2.0, grid.shape)).astype(np.float32)
    adc = np.where(head, 0.8, rng.uniform(0.0, 3.0, grid.shape)).astype(np.float32)
    stored = adc.copy()
    shown = without_air({"dwi": signal, "adc": adc}, brain, grid)
    far = ball((0, 0, 5), (78, 90, 78)) > 1
    assert not shown["adc"][far].any()
    np.testing.assert_array_equal(shown["adc"][brain], adc[brain])
    assert shown["dwi"] is signal
    np.testing.assert_array_equal(adc, stored)


def test_without_another_scan_the_surroundings_of_the_brain_are_shown(grid: Grid, brain: np.ndarray) -> None:
    adc = np.ones(grid.shape, dtype=np.float32)
    shown = without_air({"adc": adc}, brain, grid)["adc"]
    assert shown[brain].all()
    assert brain.sum() <= np.count_nonzero(shown) < 1.5 * brain.sum()
    assert without_air({"adc": adc}, None, grid)["adc"] is adc


def test_a_hole_of_the_signal_in_the_brain_is_shown(grid: Grid, brain: np.ndarray) -> None:
    signal = np.where(brain, 100.0, 0.0).astype(np.float32)
    signal[16:19, 18:21, 6:8] = 0.0  # a bleeding
    shown = without_air({"swi": signal, "phase": np.ones(grid.shape, np.float32)}, brain, grid)["phase"]
    assert shown[brain].all()
