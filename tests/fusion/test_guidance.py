"""Guidance maps by hand, and what each control preserves of them."""

import numpy as np
import pytest

from adumbra.core.errors import InputRejected
from adumbra.fusion.guidance import GUIDES, binary_entropy_bits, control_guidance, near_uncertainty


def test_entropy_in_bits_by_hand():
    entropy = binary_entropy_bits(np.array([[[0.0, 0.5, 1.0, 0.25]]], dtype=np.float32))
    assert entropy.ravel().tolist() == pytest.approx([0.0, 1.0, 0.0, 2 - 0.75 * np.log2(3)], abs=1e-5)
    assert entropy.dtype == np.float32


def test_the_margin_around_uncertain_voxels():
    """One uncertain voxel in a cube of 15, and 4 voxels to each side of it."""
    guidance = np.zeros((15, 15, 15), dtype=np.float32)
    assert not near_uncertainty(guidance).any()
    guidance[7, 7, 7] = 0.5
    near = near_uncertainty(guidance)
    assert near.sum() == 9**3
    assert near[3:12, 3:12, 3:12].all()


@pytest.mark.parametrize("guide", GUIDES[1:])
def test_every_control_preserves_the_mean_and_is_zero_outside_the_brain(guide, rng):
    maps, within = rng.random((3, 6, 5, 4)), rng.random((6, 5, 4)) > 0.3
    control = control_guidance(maps, guide, within=within, generator=np.random.default_rng(0))
    assert control[:, ~within].max() == 0
    assert control[:, within].mean(axis=1) == pytest.approx(maps[:, within].mean(axis=1), abs=1e-6)
    assert np.allclose(control[:, within], maps[:, within]) == (guide in ("uncertainty", "oracle"))
    assert (np.ptp(control[:, within], axis=1) < 1e-6).all() == (guide == "constant")


def test_shuffled_maps_have_the_same_histogram_and_one_permutation(rng):
    maps, within = rng.random((2, 6, 5, 4)), np.ones((6, 5, 4), dtype=bool)
    maps[1] = 2 * maps[0]
    control = control_guidance(maps, "shuffled", within=within, generator=np.random.default_rng(0))
    assert np.sort(control[0].ravel()) == pytest.approx(np.sort(maps[0].ravel()))
    assert control[1] == pytest.approx(2 * control[0])


def test_an_unknown_guide_is_refused():
    with pytest.raises(InputRejected, match="guide"):
        control_guidance(
            np.zeros((1, 2, 2, 2)), "none", within=np.ones((2, 2, 2), bool), generator=np.random.default_rng(0)
        )
