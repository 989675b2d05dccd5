"""The page of steps: pictures with captions, escaped text, no unasked replacement."""

import numpy as np
import pytest
from PIL import Image

from adumbra.core.errors import OutputRefused
from adumbra.core.geometry.grid import Grid
from adumbra.report.figures import SEGMENTATION_COLOUR
from adumbra.report.steps import HEIGHT, Panel, Step, axial, projected, write_steps

GRID = Grid((20, 30, 10), np.array([[2.0, 0, 0, -19], [0, 2, 0, -29], [0, 0, 4, -18], [0, 0, 0, 1]]))


def test_an_axial_slice_is_the_one_at_its_height_seen_from_the_feet() -> None:
    volume = np.zeros(GRID.shape, np.float32)
    volume[16:, 25:, 7] = 1.0  # front right, at z = 10 mm
    image = np.asarray(axial(volume, GRID, 10.0, window=(0.0, 1.0)).convert("L"))
    assert image.shape == (HEIGHT, round(HEIGHT * 2 / 3))
    assert image[:40, :30].mean() > 200  # the patient's right is on the left, the face is up
    assert image[60:, 60:].max() == 0
    assert np.asarray(axial(volume, GRID, 2.0, window=(0.0, 1.0))).max() == 0


def test_a_contour_lies_just_outside_its_mask() -> None:
    mask = np.zeros(GRID.shape, bool)
    mask[8:12, 10:20, 5] = True
    image = np.asarray(axial(np.zeros(GRID.shape, np.float32), GRID, 2.0, window=(0, 1), mask=mask))
    assert (image == SEGMENTATION_COLOUR).all(axis=-1).any()
    assert not (image[HEIGHT // 2, HEIGHT // 3] == SEGMENTATION_COLOUR).all()


def test_a_projection_shows_the_maximum_over_slices_in_its_colour() -> None:
    volume = np.zeros(GRID.shape, np.float32)
    volume[8:13, 13:18, :] = 1.0
    above = np.asarray(projected([(volume, (200, 100, 0))], GRID, axis=2))
    assert tuple(above.reshape(-1, 3).max(axis=0)) == (200, 100, 0)


def test_the_page_is_complete_and_escapes_its_text(tmp_path) -> None:
    step = Step("A <b>step</b>", "x = y", "Text", [Panel(Image.new("RGB", (4, 4)), "a & b")], {"fact": "1"})
    path = write_steps(tmp_path, "page.html", title="case", subtitle="subtitle", steps=[step])
    page = path.read_text("utf-8")
    assert "A &lt;b&gt;step" in page
    assert 'alt="a &amp; b"' in page
    assert "data:image/jpeg" in page
    with pytest.raises(OutputRefused):
        write_steps(tmp_path, "page.html", title="case", subtitle="subtitle", steps=[step])
