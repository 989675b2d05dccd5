"""The decoder at chosen voxels, against the decoder of the whole window."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adumbra.networks import sparse_decoder
from adumbra.networks.unet import UNet, UNetConfig

CONFIG = UNetConfig(modalities=("dwi", "adc"), widths=(8, 12, 16, 20), dropout=0.3)


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = UNet(CONFIG)
    for parameter in made.parameters():
        if parameter.ndim == 5:
            torch.nn.init.normal_(parameter, std=0.2)
        else:
            torch.nn.init.normal_(parameter, mean=1.0, std=0.2)
    return made.eval().requires_grad_(False)


def seen(network, side=16):
    torch.manual_seed(1)
    x, present = torch.randn(1, 2, side, side, side), torch.ones(1, 2)
    features = network.encoder(x, present)
    return features, network(x, present)


def some(side=16):
    """A corner, an edge, the middle, and voxels that stand alone."""
    wanted = np.zeros((side, side, side), dtype=bool)
    wanted[:2, :1, :3] = wanted[-1, -2:, 5] = wanted[7:9, 7:9, 8] = True
    wanted[tuple(np.random.default_rng(0).integers(0, side, (3, 20)))] = True
    return wanted


def test_without_chance_chosen_voxels_have_the_values_of_the_whole_window(network):
    features, whole = seen(network)
    window = network.deterministic_window(features)
    assert torch.allclose(window.logits, whole, atol=1e-5)
    wanted = some()
    found = network.at(window, sparse_decoder.deep(network.decoder, features, None), network.sites(window, wanted))
    assert found.shape == (1, 1, wanted.sum())
    assert torch.allclose(found[0, 0], whole[0, 0][torch.from_numpy(wanted)], atol=1e-4)


def test_few_voxels_ask_for_few_others(network):
    """One voxel of the finest level: 27 for the second convolution, 125 for the first, and their parents."""
    wanted = np.zeros((16, 16, 16), dtype=bool)
    wanted[8, 8, 8] = True
    coarse, fine = sparse_decoder.needed(wanted, 2)
    assert (len(fine.second), len(fine.first), len(fine.here)) == (1, 27, 125)
    assert len(coarse.second) == 27, "voxels 6 to 10 lie in parents 3, 4 and 5 along each axis"
    assert (len(coarse.first), len(coarse.here)) == (125, 343)


def test_beyond_the_window_lies_nothing(network):
    wanted = np.zeros((16, 16, 16), dtype=bool)
    wanted[0, 0, 0] = True
    _, fine = sparse_decoder.needed(wanted, 2)
    assert len(fine.first) == 8
    assert (fine.second == len(fine.first)).sum() == 27 - 8, "the others are the row of zeros"


def test_draws_together_are_the_draws_alone(network):
    features, _ = seen(network)
    window = network.deterministic_window(features)
    where = network.sites(window, some())
    masks = [network.sample_dropout_masks(np.random.default_rng(seed)) for seed in range(3)]
    alone = [network.at(window, network.deep(window, tuple(m[None] for m in mask)), where) for mask in masks]
    together = network.at(window, network.deep(window, tuple(map(torch.stack, zip(*masks, strict=True)))), where)
    assert torch.allclose(torch.cat(alone), together, atol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


def test_a_draw_is_nearly_that_of_the_whole_window(network):
    """The difference is normalisation alone: means and variances of the window without chance."""
    features, whole = seen(network)
    window = network.deterministic_window(features)
    where = network.sites(window, np.ones((16, 16, 16), dtype=bool))
    kept = network.sample_dropout_masks(np.random.default_rng(0))
    found = network.at(window, network.deep(window, tuple(m[None] for m in kept)), where).flatten()
    exact = network(features, torch.ones(1, 2), kept, part="decoder").flatten()
    change = torch.stack([found, exact]) - whole.flatten()
    assert torch.corrcoef(change)[0, 1] > 0.8


def test_only_dropout_that_lies_deep_allows_it():
    def lies_deep(dropout):
        return UNet(replace(CONFIG, dropout=dropout)).supports_sparse_decoding

    assert lies_deep(0.2)
    assert lies_deep((0.0, 0.0, 0.0, 0.2))
    assert not lies_deep(0.0)
    assert not lies_deep((0.0, 0.1, 0.1, 0.1))
