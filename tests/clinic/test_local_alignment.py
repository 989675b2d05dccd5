"""The arteries near a clot: a line that is off by some millimetres, and vessels that tell which way."""

import numpy as np
import pytest

from adumbra.clinic import local_alignment
from adumbra.clinic.artery_maps import artery_maps
from adumbra.clinic.bright_vessels import REACH_MM, bright_vessels
from adumbra.clinic.clot_artery import NO_ARTERY, artery_along, segment_of
from adumbra.clinic.local_alignment import annealed_samples, local_alignments
from adumbra.core.atlas.courses import artery_courses
from adumbra.core.atlas.vessels import BRANCHES_OF
from adumbra.core.geometry.grid import Grid
from adumbra.phantom.vasculature.courses import mean_courses


def segments(probabilities):
    out = {}
    for name, probability in probabilities.items():
        out[segment_of(name)] = out.get(segment_of(name), 0.0) + probability
    return out


def test_the_courses_are_those_of_the_phantom_on_both_sides() -> None:
    courses = artery_courses()
    for name, points in mean_courses().items():
        own = courses[name if name == "basilar" else f"{name} right"]
        np.testing.assert_allclose(own, points)
        if name != "basilar":
            np.testing.assert_allclose(courses[f"{name} left"], own * (-1, 1, 1))
    assert set(mean_courses()) == {*BRANCHES_OF, "basilar"} - {"M1 perforators"}


def test_the_maps_name_the_middle_of_a_course_and_nothing_outside() -> None:
    maps, courses = artery_maps(), artery_courses()
    for name in ("M1 right", "M2 inferior left", "A1 right", "basilar", "P2 left"):
        index = maps.index(courses[name][len(courses[name]) // 2])
        assert maps.names[maps.artery[index]] == name
        assert maps.log_density[index] > maps.log_density[-1] + 3.0
    assert maps.index(np.array([500.0, 0.0, 0.0])) == len(maps.artery) - 1
    assert maps.artery[-1] == 0


def test_the_sampler_recovers_a_posterior_that_is_known() -> None:
    # Prior N(0, 2²), observation 3 with variance 1: mean 3 · 4/5, variance 4/5.
    samples = annealed_samples(lambda x: -0.5 * (x[:, 0] - 3.0) ** 2, np.array([2.0, 1.0]), np.random.default_rng(1))
    assert samples[:, 0].mean() == pytest.approx(2.4, abs=0.2)
    assert samples[:, 0].var() == pytest.approx(0.8, abs=0.2)
    assert samples[:, 1].var() == pytest.approx(1.0, abs=0.25)


def test_a_clot_beside_its_artery_is_moved_into_it() -> None:
    line = artery_courses()["M1 right"][5:19] + np.array([0.0, 3.0, 2.0])
    places = local_alignments(line)(line)
    assert places.shape == (local_alignment.SAMPLES, len(line), 3)
    shift = (places - line).mean(axis=(0, 1))
    assert shift[1] < -1.5
    assert shift[2] < -1.0
    assert segments(artery_along(line))["M1 right"] > 0.8


def test_vessels_of_the_patient_move_a_clot_that_alone_would_stay() -> None:
    # The head is off by 5 mm along the artery, which the clot alone cannot show.
    courses = artery_courses()
    shift = np.array([5.0, 0.0, 0.0])
    line = courses["M1 right"][10:24] + shift
    names = ("ICA right", "A1 right", "A2 right", "M1 right", "P1 right", "P2 right")
    vessels = np.concatenate([courses[name] for name in names]) + shift
    near = vessels[np.linalg.norm(vessels - line.mean(axis=0), axis=1) < REACH_MM]
    alone, with_vessels = ((local_alignments(line, v)(line) - line).mean(axis=(0, 1)) for v in (None, near))
    assert np.linalg.norm(with_vessels + shift) < 1.5
    assert np.linalg.norm(with_vessels + shift) < 0.7 * np.linalg.norm(alone + shift)
    assert segments(artery_along(line, near))["M1 right"] > 0.9


def test_the_same_line_has_the_same_probabilities_and_a_far_one_no_artery() -> None:
    line = artery_courses()["basilar"][3:15]
    assert artery_along(line) == artery_along(line)
    assert artery_along(line + np.array([0.0, 0.0, 400.0])) == {NO_ARTERY: 1.0}


def test_bright_tubes_near_a_clot_are_vessels_and_noise_alone_is_not() -> None:
    grid = Grid((60, 50, 40), np.diag([1.0, 1.0, 1.0, 1.0]))
    brain = np.ones(grid.shape, dtype=bool)
    tof = np.full(grid.shape, 100.0, dtype=np.float32)
    centre = np.array([30.0, 25.0, 20.0])
    assert bright_vessels(tof, grid, brain, centre) is None
    tof[5:55, 24:26, 19:21] = 300.0
    points = bright_vessels(tof, grid, brain, centre)
    assert points is not None
    assert np.abs(points[:, 1] - 24.5).max() <= 1.5  # the tube, and the voxels that touch it
    assert np.ptp(points[:, 0]) > 40.0
    assert bright_vessels(np.zeros_like(tof), grid, brain, centre) is None
