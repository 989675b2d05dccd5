import numpy as np
import pytest

from adumbra.core.case import Case, Scan
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.components import dilate
from adumbra.core.geometry.grid import Grid
from adumbra.inference.model_input import model_input
from adumbra.networks.unet_config import UNetConfig

CONFIG = UNetConfig(widths=(4, 8))
SHAPE = (40, 30, 20)


def case(*, spacing=(2.0, 2.0, 2.0), modalities=("dwi", "flair"), brain=True, low=12, high=18):
    grid = Grid(SHAPE, np.diag([*spacing, 1.0]))
    data = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    mask = np.zeros(SHAPE, dtype=bool)
    mask[low:high, low:high, 8:14] = True
    masks = {"brain": Scan(mask, grid, grid)} if brain else {}
    return Case("made", {m: Scan(data + n, grid, grid) for n, m in enumerate(modalities)}, masks)


def view(of, side=8):
    return model_input(of, CONFIG, spacing_mm=2.0, side=side, overlap=0.25)


def test_channels_come_in_the_networks_order_and_missing_ones_are_zero():
    seen = view(case())
    assert seen.present.tolist() == [1.0, 0.0, 0.0, 1.0]
    assert np.array_equal(seen.channels[3], seen.channels[0] + 1)
    assert (seen.channels[1:3] == 0).all()


@pytest.mark.parametrize("side", [8, 36])
def test_a_view_put_back_is_the_whole_within_the_dilated_brain(side):
    given = case()
    seen = view(given, side)
    assert min(seen.within.shape) >= side
    whole = seen.restore(seen.channels[0])
    near = dilate(given.masks["brain"].data, given.grid, by_mm=8.0)
    assert np.array_equal(whole[near], given.scans["dwi"].data[near])
    assert (whole[~near] == 0).all()


def test_dilation_is_in_millimetres():
    grid = Grid((21, 21, 21), np.diag([1.0, 2.0, 4.0, 1.0]))
    mask = np.zeros(grid.shape, dtype=bool)
    mask[10, 10, 10] = True
    out = dilate(mask, grid, by_mm=8.0)
    assert [int(out.any(axis=axes).sum()) for axes in ((1, 2), (0, 2), (0, 1))] == [17, 9, 5]


def test_what_does_not_fit_is_refused():
    with pytest.raises(GridMismatch, match="2 mm"):
        view(case(spacing=(2.0, 2.0, 3.0)))
    view(case(spacing=(2.0, 2.1, 1.9)))
    with pytest.raises(MissingInput, match="brain"):
        view(case(brain=False))
    with pytest.raises(MissingInput, match="brain"):
        view(case(low=5, high=5))
    with pytest.raises(MissingInput, match="dwi, adc"):
        view(case(modalities=("swi",)))
