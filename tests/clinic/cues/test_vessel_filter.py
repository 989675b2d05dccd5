"""Tubes are found, sheets and shading are not."""

import numpy as np
import pytest

from adumbra.clinic.cues.vessel_filter import relative_signal, tube_strength

SHAPE, SPACING = (32, 32, 20), (1.0, 1.0, 1.5)
INSIDE = np.ones(SHAPE, bool)
X, Y, Z = np.indices(SHAPE)


def image(mask, change):
    """An image of 100 that is changed by a share where the mask is."""
    return (100.0 * np.where(mask, 1.0 + change, 1.0)).astype(np.float32)


def strength(volume, *, bright, inside=INSIDE):
    relative = relative_signal(volume, inside, SPACING, surroundings_mm=3.0)
    return tube_strength(relative, inside, SPACING, bright=bright)


TUBE, SHEET = (X == 16) & (Y == 16), X == 16


@pytest.mark.parametrize(("change", "bright"), [(-0.4, False), (0.4, True)])
def test_a_tube_is_strong_along_its_line_and_nowhere_else(change: float, bright: bool) -> None:
    values = strength(image(TUBE, change), bright=bright)
    assert values[16, 16, 10] > 0.05
    assert values[TUBE][3:-3].min() > 0.5 * values[16, 16, 10]
    assert values[(abs(X - 16) > 3) | (abs(Y - 16) > 3)].max() < 0.02 * values[16, 16, 10]


def test_a_tube_of_the_other_sign_is_not_counted() -> None:
    assert strength(image(TUBE, 0.4), bright=False)[16, 16, 10] == 0.0


def test_a_sheet_is_much_weaker_than_a_tube() -> None:
    tube, sheet = (strength(image(mask, -0.4), bright=False)[16, 16, 10] for mask in (TUBE, SHEET))
    assert sheet < 0.02 * tube


def test_unit_and_shading_of_the_image_change_little() -> None:
    shading = (0.7 + 0.02 * X).astype(np.float32)
    plain, uneven = (strength(v, bright=False)[16, 16, 10] for v in (image(TUBE, -0.4), shading * image(TUBE, -0.4)))
    assert uneven == pytest.approx(plain, rel=0.05)
    assert strength(1000 * image(TUBE, -0.4), bright=False)[16, 16, 10] == pytest.approx(plain, rel=1e-3)


def test_nothing_is_computed_outside_and_an_empty_mask_gives_nothing() -> None:
    inside = INSIDE & (X < 12)
    assert not strength(image(TUBE, -0.4), bright=False, inside=inside)[~inside].any()
    nowhere = np.zeros(SHAPE, bool)
    assert not strength(image(TUBE, -0.4), bright=False, inside=nowhere).any()
    relative = relative_signal(image(TUBE, -0.4), inside, SPACING, surroundings_mm=3.0)
    assert (relative[~inside] == 1.0).all()
