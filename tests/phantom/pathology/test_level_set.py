"""Level sets: distances, volumes and flows that can be checked by hand."""

import numpy as np
import pytest

from adumbra.phantom.pathology.level_set import filled, level_of_volume, sample_flow_mm, signed_distance_mm

SPACING = (2.0, 2.0, 2.0)


def ball(radius_mm: float) -> np.ndarray:
    lines = np.indices((31, 31, 31)) * 2.0 - 30.0
    return np.sqrt((lines**2).sum(axis=0)) < radius_mm


def test_the_signed_distance_is_negative_inside_and_grows_by_the_spacing() -> None:
    phi = signed_distance_mm(ball(13), SPACING)
    assert phi[15, 15, 15] < -10
    assert (phi[ball(13)] < 0).all()
    assert np.diff(phi[22:, 15, 15]) == pytest.approx(2.0, abs=1e-5)


def test_the_level_gives_the_volume_of_the_room_that_is_there() -> None:
    phi, room = signed_distance_mm(ball(13), SPACING), np.full((31, 31, 31), 0.008, np.float32)
    for volume_ml in (0.5, 5.0, 40.0):
        level = level_of_volume(phi, room, volume_ml)
        assert (phi <= level).sum() * 0.008 >= volume_ml - 1e-3
        assert (phi < level).sum() * 0.008 <= volume_ml + 1e-3
    assert (phi > level_of_volume(phi, room, 1e6)).sum() == 0
    assert level_of_volume(phi, np.zeros_like(room), 1.0) == 0.0


def test_the_edge_is_linear_and_half_at_the_level() -> None:
    phi = np.array([[[-4.0, -1.0, 0.0, 1.0, 4.0]]], np.float32)
    assert filled(phi, level=0.0, edge_mm=4.0)[0, 0] == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0])
    assert filled(phi, level=1.0, edge_mm=4.0)[0, 0] == pytest.approx([1.0, 1.0, 0.75, 0.5, 0.0])


def test_a_flow_has_no_folds_and_its_reach() -> None:
    flow = sample_flow_mm(np.random.default_rng(3), (40, 44, 36), spacing_mm=SPACING, scale_mm=20.0, reach_mm=7.0)
    assert flow.shape == (3, 40, 44, 36)
    assert 3.0 < flow.std() < 9.0
    gradient = np.stack([np.stack(np.gradient(c, 2.0), axis=-1) for c in flow], axis=-2)
    assert np.linalg.det(np.eye(3) + gradient).min() > 0.02
    other = sample_flow_mm(np.random.default_rng(4), (40, 44, 36), spacing_mm=SPACING, scale_mm=20.0, reach_mm=7.0)
    assert abs(np.corrcoef(flow.reshape(-1), other.reshape(-1))[0, 1]) < 0.5
    still = sample_flow_mm(np.random.default_rng(3), (8, 8, 8), spacing_mm=SPACING, scale_mm=20.0, reach_mm=0.0)
    assert (still == 0).all()
