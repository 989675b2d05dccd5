"""Rigid registration: known movements are recovered, correct headers are not changed, the seed fixes the bytes."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from adumbra.core.case import Scan
from adumbra.core.geometry.grid import Grid
from adumbra.preprocessing import registration
from adumbra.preprocessing.brain_mask import extract_brain
from adumbra.preprocessing.registration import Registration, joint_histogram_mutual_information, register_rigid


def moved(angles_deg, shift_mm, centre=(0.0, 0.0, 0.0)):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    affine[:3, 3] = np.asarray(centre) + shift_mm - affine[:3, :3] @ np.asarray(centre)
    return affine


def error_mm(estimated, true, points):
    return float(np.linalg.norm(points @ (estimated - true)[:3, :3].T + (estimated - true)[:3, 3], axis=1).mean())


@pytest.fixture(scope="module")
def fixed(head, grid_around):
    grid = grid_around((99, 117, 73), (2.0, 2.0, 2.0), tilt_deg=10.0)
    volume, brain = head(grid)
    return Scan(volume, grid, grid), brain


@pytest.fixture(scope="module")
def points(fixed):
    scan, brain = fixed
    return scan.grid.world_mm(np.argwhere(brain)[::500])


@pytest.fixture(scope="module")
def other_contrast(head, grid_around):
    """A function: the same head after a move, inverted contrast, noisier, thick slices, another tilt."""
    grid = grid_around((150, 170, 30), (1.4, 1.4, 5.0), tilt_deg=-5.0)

    def build(move):
        volume, _ = head(grid, seed=1, inverted=True, noise=0.08, scalp=0.9, moving_from_fixed=move)
        return Scan(volume, grid, grid)

    return build


@pytest.mark.parametrize(("angles", "shift"), [((2, -1, 3), (1, 2, -2)), ((-8, 6, 10), (-12, 8, 10))])
def test_a_known_movement_is_recovered(angles, shift, fixed, points, other_contrast):
    move = moved(angles, shift)
    result = register_rigid(fixed[0], other_contrast(move), fixed_mask=fixed[1])
    assert result.accepted
    assert result.metric_after > result.metric_before
    assert error_mm(result.moving_from_fixed, move, points) < 0.5
    assert result.translation_mm == pytest.approx(np.linalg.norm(shift), abs=2.0)


def test_aligned_images_stay_where_they_are(fixed, points, other_contrast):
    result = register_rigid(fixed[0], other_contrast(np.eye(4)), fixed_mask=fixed[1])
    assert error_mm(result.moving_from_fixed, np.eye(4), points) < 0.3
    assert not result.needs_review


def test_the_image_itself_is_not_moved(fixed):
    result = register_rigid(fixed[0], fixed[0], fixed_mask=fixed[1])
    assert not result.accepted
    assert np.array_equal(result.moving_from_fixed, np.eye(4))
    assert not result.needs_review


def test_two_runs_give_the_same_bytes(fixed, other_contrast):
    moving = other_contrast(moved((3, 2, 1), (2, 3, 4)))
    first, second = (register_rigid(fixed[0], moving, fixed_mask=fixed[1]) for _ in range(2))
    assert first.moving_from_fixed.tobytes() == second.moving_from_fixed.tobytes()
    assert first.metric_after == second.metric_after
    assert register_rigid(fixed[0], moving, fixed_mask=fixed[1], seed=8).metric_after != first.metric_after


def test_a_header_that_is_far_off_starts_from_the_centres_of_mass(fixed, points, other_contrast):
    far = moved((0, 0, 0), (0, 0, 150))
    scan = other_contrast(np.eye(4))
    moving = Scan(scan.data, Grid(scan.grid.shape, far @ scan.grid.affine), scan.native)
    result = register_rigid(fixed[0], moving, fixed_mask=fixed[1])
    assert result.accepted
    assert error_mm(result.moving_from_fixed, far, points) < 0.7


def test_a_registration_to_noise_is_rejected(fixed, grid_around):
    noise = np.random.default_rng(3).random((60, 60, 40)).astype(np.float32)
    grid = grid_around((60, 60, 40), (4.0, 4.0, 5.0))
    result = register_rigid(fixed[0], Scan(noise, grid, grid), fixed_mask=fixed[1])
    assert not result.accepted
    assert np.array_equal(result.moving_from_fixed, np.eye(4))


def test_an_implausible_movement_is_rejected_with_a_warning(fixed, other_contrast, monkeypatch):
    monkeypatch.setattr(registration, "_FARTHEST_MM", 5.0)
    result = register_rigid(fixed[0], other_contrast(moved((0, 0, 0), (12, 0, 0))), fixed_mask=fixed[1])
    assert not result.accepted
    assert result.needs_review
    note = result.conversion("flair", "dwi")
    assert note.warning
    assert "not plausible" in note.what
    assert result.translation_mm == pytest.approx(12, abs=0.5)


def test_a_worse_transform_is_rejected_with_a_warning(fixed, other_contrast, monkeypatch):
    wrong = moved((5, 0, 0), (8, 0, 0))
    monkeypatch.setattr(registration, "_optimise", lambda *_: wrong)
    result = register_rigid(fixed[0], other_contrast(np.eye(4)), fixed_mask=fixed[1])
    assert not result.accepted
    assert result.metric_after < result.metric_before
    assert "worse" in result.reason
    assert result.needs_review


def test_a_constant_image_is_left_where_its_header_puts_it(fixed):
    flat = Scan(np.ones(fixed[0].grid.shape, dtype=np.float32), fixed[0].grid, fixed[0].grid)
    assert not register_rigid(fixed[0], flat, fixed_mask=fixed[1]).accepted


def test_the_note_is_json():
    note = Registration(np.eye(4), 0.2, 0.3, True, 1.0, 2.0, "mutual information rose").conversion("flair", "dwi")
    assert json.loads(json.dumps(dict(note.values)))["moving_from_fixed"][3] == [0.0, 0.0, 0.0, 1.0]
    assert note.subject == "flair"


def test_mutual_information_of_known_tables():
    coin = np.arange(4096) % 2
    assert joint_histogram_mutual_information(coin, 5.0 - 3.0 * coin) == pytest.approx(np.log(2))
    assert joint_histogram_mutual_information(coin, (np.arange(4096) // 2) % 2) == pytest.approx(0.0, abs=1e-12)
    assert joint_histogram_mutual_information(coin, np.ones(4096)) == 0.0
    assert joint_histogram_mutual_information(np.zeros(0), np.zeros(0)) == 0.0


def test_the_real_flair_gains_or_stays_and_comes_back_from_a_known_move(isles):
    dwi, flair = isles.scan("dwi"), isles.scan("flair")
    brain = extract_brain(dwi.data, dwi.grid)
    inside = dwi.grid.world_mm(np.argwhere(brain)[::500])
    by_header = register_rigid(dwi, flair, fixed_mask=brain)
    assert by_header.metric_after > by_header.metric_before or not by_header.accepted
    assert by_header.translation_mm < 3.0
    assert by_header.rotation_deg < 3.0
    move = moved((5, 3, -4), (6, -5, 8), centre=inside.mean(axis=0))
    elsewhere = Scan(flair.data, Grid(flair.grid.shape, move @ flair.grid.affine), flair.native)
    after = register_rigid(dwi, elsewhere, fixed_mask=brain)
    assert after.accepted
    assert error_mm(after.moving_from_fixed, move @ by_header.moving_from_fixed, inside) < 0.5
