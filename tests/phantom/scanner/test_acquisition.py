"""Slices, tilt, movement and warp, checked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.phantom.scanner.acquisition import SliceSampler, Stack, Warp, rotation, sample_movement, stack_grid

HEAD = Grid((40, 48, 36), np.array([[2.0, 0, 0, -40], [0, 2, 0, -48], [0, 0, 2, -36], [0, 0, 0, 1]]))
STILL = np.eye(4)
SHARP = Stack(2.0, 2.0, blur=1e-6)


def blob(grid: Grid, centre_mm: tuple[float, float, float], sigma_mm: float = 6.0) -> np.ndarray:
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    away = ((grid.world_mm(index) - centre_mm) ** 2).sum(axis=-1)
    return np.exp(-away / (2 * sigma_mm**2)).astype(np.float32)


def centre_mm(volume: np.ndarray, grid: Grid) -> np.ndarray:
    index = np.argwhere(volume > 0)
    weights = volume[volume > 0]
    return grid.world_mm((index * weights[:, None]).sum(axis=0) / weights.sum())


def test_a_head_at_rest_in_its_own_voxels_is_itself() -> None:
    volume, sampler = blob(HEAD, (4, -6, 8)), SliceSampler(HEAD, SHARP, STILL)
    assert sampler.grid.coincides(HEAD)
    np.testing.assert_allclose(sampler.sample(volume, blur=False), volume, atol=1e-6)


@pytest.mark.parametrize("stack", [
    Stack(2.0, 5.0), Stack(2.0, 3.0, gap_mm=1.0), Stack(3.5, 4.0, pitch_deg=12.0, roll_deg=-5.0),
    Stack(1.2, 6.5, pitch_deg=-15.0),
])  # fmt: skip
def test_position_does_not_depend_on_the_slices(stack: Stack) -> None:
    sampler, volume = SliceSampler(HEAD, stack, STILL), blob(HEAD, (4, -6, 8))
    image = sampler.sample(volume)
    assert image.shape == sampler.grid.shape
    np.testing.assert_allclose(centre_mm(image, sampler.grid), centre_mm(volume, HEAD), atol=0.4)
    through_gaps = sampler.grid.voxel_ml  # the distance between slices includes the gaps
    assert image.sum() * through_gaps == pytest.approx(volume.sum() * HEAD.voxel_ml, rel=0.03)


def test_a_slice_is_the_mean_over_its_thickness() -> None:
    volume = np.zeros(HEAD.shape, np.float32)
    volume[:, :, 10:13] = 1.0  # 6 mm
    thick = SliceSampler(HEAD, Stack(2.0, 6.0, blur=1e-6), STILL).sample(volume, blur=False)[20, 24]
    assert thick.sum() * 6.0 == pytest.approx(6.0, rel=1e-5)
    assert thick.max() <= 1.0 + 1e-6


def test_the_grid_of_the_slices_is_tilted_as_planned() -> None:
    grid = stack_grid(HEAD, Stack(1.0, 4.0, gap_mm=0.5, pitch_deg=20.0))
    assert grid.obliquity_deg == pytest.approx(20.0)
    assert grid.spacing_mm == pytest.approx((1.0, 1.0, 4.5))
    middle = grid.world_mm((np.array(grid.shape) - 1) / 2)
    np.testing.assert_allclose(middle, HEAD.world_mm((np.array(HEAD.shape) - 1) / 2), atol=1e-9)


def test_slices_cover_what_they_were_planned_to() -> None:
    grid = stack_grid(HEAD, Stack(1.0, 1.0, cover_mm=(-10.0, 14.0)))
    low, high = grid.corners_mm()[:, 2].min() - 0.5, grid.corners_mm()[:, 2].max() + 0.5
    assert low == pytest.approx(-10, abs=0.5)
    assert high == pytest.approx(14, abs=0.5)


def test_a_movement_of_the_head_shifts_the_image() -> None:
    moved = np.eye(4)
    moved[:3, 3] = [3.0, -2.0, 1.0]  # origin of the scanner in the head, which has moved the opposite way
    image = SliceSampler(HEAD, SHARP, moved).sample(blob(HEAD, (4, -6, 8)))
    np.testing.assert_allclose(centre_mm(image, HEAD), np.array([1.0, -4.0, 7.0]), atol=0.1)


def test_movement_is_rigid_and_has_its_strength() -> None:
    rng = np.random.default_rng(0)
    movements = [sample_movement(rng, centre_mm=np.array([1.0, 2, 3]), strength=1.0) for _ in range(200)]
    assert all(abs(np.linalg.det(m[:3, :3]) - 1) < 1e-12 for m in movements)
    shifts = np.array([m[:3, :3] @ [1, 2, 3] + m[:3, 3] - [1, 2, 3] for m in movements])
    assert shifts.std() == pytest.approx(0.6, rel=0.15)
    still = sample_movement(rng, centre_mm=np.zeros(3), strength=0.0)
    np.testing.assert_allclose(still, np.eye(4), atol=1e-12)


def test_a_rotation_by_hand() -> None:
    np.testing.assert_allclose(rotation(90, 0) @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(rotation(0, 90) @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(rotation(0, 0, 90) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def uniform_warp(shift_mm: float) -> Warp:
    return Warp(np.full(HEAD.shape, shift_mm, np.float32), np.full(HEAD.shape, 1.5, np.float32))


def test_a_uniform_warp_moves_along_the_phase_encoding_axis() -> None:
    volume, stack = blob(HEAD, (4, -6, 8)), replace(SHARP, pitch_deg=0.0)
    sampler = SliceSampler(HEAD, stack, STILL, uniform_warp(4.0))
    image = sampler.sample(volume)
    np.testing.assert_allclose(centre_mm(image, HEAD) - centre_mm(volume, HEAD), [0, 4, 0], atol=0.05)
    assert image.max() == pytest.approx(1.5 * volume.max(), rel=0.02)
    assert sampler.sample(volume, stacks=False).max() == pytest.approx(volume.max(), rel=0.02)


def test_on_tilted_slices_the_warp_is_tilted_too() -> None:
    sampler = SliceSampler(HEAD, replace(SHARP, pitch_deg=30.0), STILL, uniform_warp(4.0))
    image = sampler.sample(blob(HEAD, (4, -6, 8), 4.0), stacks=False)
    offset = centre_mm(image, sampler.grid) - np.array([4, -6, 8])
    np.testing.assert_allclose(offset, [0, 4 * np.cos(np.pi / 6), 4 * np.sin(np.pi / 6)], atol=0.15)


def test_stacking_conserves_signal_along_the_line() -> None:
    bump = 4 * np.exp(-(((np.arange(48) - 24) / 6.0) ** 2))
    shift = np.broadcast_to(bump[None, :, None], HEAD.shape).astype(np.float32)
    stacking = (1 - np.gradient(shift, 2.0, axis=1)).astype(np.float32)
    volume = np.zeros(HEAD.shape, np.float32)
    volume[:, 8:40] = 1
    image = SliceSampler(HEAD, SHARP, STILL, Warp(shift, stacking)).sample(volume, blur=False)
    assert float(image[20, :, 18].sum()) == pytest.approx(32, rel=0.02)
