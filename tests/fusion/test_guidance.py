"""Doubt by hand, and what each control keeps of it."""

import numpy as np
import pytest

from adumbra.core.errors import InputRejected
from adumbra.fusion.guidance import GUIDES, binary_entropy_bits, control_guidance, near_uncertainty


def test_doubt_by_hand():
    found = binary_entropy_bits(np.array([[[0.0, 0.5, 1.0, 0.25]]], dtype=np.float32))
    assert found.ravel().tolist() == pytest.approx([0.0, 1.0, 0.0, 2 - 0.75 * np.log2(3)], abs=1e-5)
    assert found.dtype == np.float32


def test_modalities_are_asked_alone_near_doubt():
    """One voxel of doubt in a cube of 15: 4 voxels to each side of it."""
    doubt = np.zeros((15, 15, 15), dtype=np.float32)
    assert not near_uncertainty(doubt).any()
    doubt[7, 7, 7] = 0.5
    near = near_uncertainty(doubt)
    assert near.sum() == 9**3
    assert near[3:12, 3:12, 3:12].all()


@pytest.mark.parametrize("guide", GUIDES[1:])
def test_every_control_keeps_the_mean_and_stays_inside(guide, rng):
    maps, within = rng.random((3, 6, 5, 4)), rng.random((6, 5, 4)) > 0.3
    made = control_guidance(maps, guide, within=within, generator=np.random.default_rng(0))
    assert made[:, ~within].max() == 0
    assert made[:, within].mean(axis=1) == pytest.approx(maps[:, within].mean(axis=1), abs=1e-6)
    assert np.allclose(made[:, within], maps[:, within]) == (guide in ("uncertainty", "oracle"))
    assert (np.ptp(made[:, within], axis=1) < 1e-6).all() == (guide == "constant")


def test_shuffled_maps_have_the_same_histogram_and_go_together(rng):
    maps, within = rng.random((2, 6, 5, 4)), np.ones((6, 5, 4), dtype=bool)
    maps[1] = 2 * maps[0]
    made = control_guidance(maps, "shuffled", within=within, generator=np.random.default_rng(0))
    assert np.sort(made[0].ravel()) == pytest.approx(np.sort(maps[0].ravel()))
    assert made[1] == pytest.approx(2 * made[0])


def test_no_such_guide():
    with pytest.raises(InputRejected, match="guide"):
        control_guidance(
            np.zeros((1, 2, 2, 2)), "none", within=np.ones((2, 2, 2), bool), generator=np.random.default_rng(0)
        )
