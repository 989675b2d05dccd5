"""Masks of draws are stored with one bit per voxel and come back as they were."""

import numpy as np
import pytest

from adumbra.core.errors import GridMismatch
from adumbra.core.mask_draws import MaskDraws
from adumbra.uncertainty.regional import DrawMasks


def test_masks_come_back_as_they_were(rng: np.random.Generator) -> None:
    masks = [rng.random((5, 3, 7)) > 0.5 for _ in range(3)]
    draws = MaskDraws.of(iter(masks))
    assert len(draws) == 3
    assert draws.bits.nbytes == 3 * 14  # 105 voxels
    for mask, again in zip(masks, draws, strict=True):
        np.testing.assert_array_equal(again, mask)


def test_bits_of_another_shape_are_refused() -> None:
    with pytest.raises(GridMismatch, match="rows of 14 bytes"):
        MaskDraws((5, 3, 7), np.zeros((2, 13), dtype=np.uint8))


def test_the_first_masks_of_a_stream_are_packed(rng: np.random.Generator) -> None:
    store, masks = DrawMasks(stored=2), [rng.random((4, 4, 4)) > 0.3 for _ in range(3)]
    assert store.packed() is None
    for mask in masks:
        store.add(mask)
    packed = store.packed()
    assert packed is not None
    assert len(packed) == 2
    for mask, again in zip(masks, packed, strict=False):
        np.testing.assert_array_equal(again, mask)
