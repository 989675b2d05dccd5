"""The decoder at selected voxels, compared with a plain implementation on the whole window."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from adumbra.networks import sparse_decoder
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig

CONFIG = UNetConfig(modalities=("dwi", "adc"), widths=(8, 12, 16, 20), dropout=0.3)
ONE_FINE_BLOCK, TWO_FINE_BLOCKS, THREE_FINE_BLOCKS = (8, 12, 16), (8, 12, 16, 20), (4, 6, 6, 8, 8)
EPSILON, SLOPE = 1e-5, 0.01  # Of the normalisations, and of the leaky ReLU.


def random_network(widths=CONFIG.widths):
    torch.manual_seed(0)
    network = UNet(replace(CONFIG, widths=widths))
    for parameter in network.parameters():
        if parameter.ndim == 5:
            torch.nn.init.normal_(parameter, std=0.2)
        else:
            torch.nn.init.normal_(parameter, mean=1.0, std=0.2)
    return network.eval().requires_grad_(False)


@pytest.fixture
def network():
    return random_network()


def encode(network, side=16):
    """The encoder's features of a random window, and the logits without dropout."""
    torch.manual_seed(1)
    x, present = torch.randn(1, 2, side, side, side), torch.ones(1, 2)
    features = network.encoder(x, present)
    return features, network(x, present)


def scattered_voxels(side=16):
    """A corner, an edge, the middle, and isolated voxels."""
    selected = np.zeros((side, side, side), dtype=bool)
    selected[:2, :1, :3] = selected[-1, -2:, 5] = selected[7:9, 7:9, 8] = True
    selected[tuple(np.random.default_rng(0).integers(0, side, (3, 20)))] = True
    return selected


def single_voxel(*index, side=16):
    selected = np.zeros((side, side, side), dtype=bool)
    selected[index] = True
    return selected


SELECTIONS = {
    "scattered": scattered_voxels(),
    "one voxel": single_voxel(8, 8, 8),
    "a corner": single_voxel(0, 0, 15),
    "a slab": np.broadcast_to((np.arange(16) > 9)[:, None, None], (16, 16, 16)).copy(),
    "all": np.ones((16, 16, 16), dtype=bool),
}


def dense_reference(decoder, features, masks, selected):
    """One draw in the whole window, with the normalisation that the sparse decoder approximates; (T, X, Y, Z).

    ``x`` is the draw, and ``z`` the same without dropout. Every fine block is normalised with the statistics of z. In
    the first of them, the result is corrected by the change of the moments over the computed voxels.
    """
    x, z = (deepest_levels(decoder, features, site_masks) for site_masks in (masks, None))
    computed = computed_voxels(selected, len(decoder.blocks) - 1)
    for step in range(1, len(decoder.blocks)):
        block, up, skip = decoder.blocks[step], decoder.up[step], features[-2 - step]
        voxels1, voxels2 = computed[step - 1] if step == 1 else (None, None)
        x, z = up(x) + skip, up(z) + skip
        y, r = normalise(block.conv1(x), block.conv1(z), block.norm1, voxels1)
        y, r = F.leaky_relu(y, SLOPE), F.leaky_relu(r, SLOPE)
        y, r = normalise(block.conv2(y), block.conv2(r), block.norm2, voxels2)
        x, z = F.leaky_relu(y + x, SLOPE), F.leaky_relu(r + z, SLOPE)
    return decoder.head(x)[0]


def deepest_levels(decoder, features, masks):
    """The bottom and the first level above it."""
    masks = masks or [None] * len(decoder.dropouts)
    x = decoder.dropouts[1](decoder.bottom(decoder.dropouts[0](features[-1], masks[0])), masks[1])
    return decoder.dropouts[2](decoder.blocks[0](decoder.up[0](x) + features[-2]), masks[2])


def computed_voxels(selected, count):
    """For each fine block, deepest first, the voxels whose output each of its convolutions is computed at."""
    output, levels = torch.from_numpy(selected)[None, None].float(), []
    for _ in range(count):
        middle = F.max_pool3d(output, 3, stride=1, padding=1)
        inputs = F.max_pool3d(middle, 3, stride=1, padding=1)
        levels.append((middle[0, 0] > 0, output[0, 0] > 0))
        output = F.max_pool3d(inputs, 2)
    return levels[::-1]


def normalise(draw, reference, norm, voxels):
    """A draw and the window without dropout, both normalised by the latter's statistics.

    Where ``voxels`` are given, the draw's mean and variance over them are corrected: it gets the shift of the mean and
    the ratio of the variances that a normalisation of its own window would have.
    """
    variance, mean = torch.var_mean(reference, dim=(2, 3, 4), keepdim=True, correction=0)
    gain, shift = (p.view(1, -1, 1, 1, 1) for p in (norm.gain, norm.shift))
    y, r = (gain * (volume - mean) / torch.sqrt(variance + EPSILON) + shift for volume in (draw, reference))
    if voxels is not None:
        (vy, my), (vr, mr) = (torch.var_mean(volume[..., voxels], dim=2, correction=0) for volume in (y, r))
        vy, my, vr, mr = (moment.view(1, -1, 1, 1, 1) for moment in (vy, my, vr, mr))
        y = shift + torch.sqrt((vr + EPSILON) / (vy + EPSILON)) * (y - shift - (my - mr))
    return y, r


@pytest.mark.parametrize(
    ("widths", "selected"),
    [
        *(pytest.param(ONE_FINE_BLOCK, selected, id=f"1-{name}") for name, selected in SELECTIONS.items()),
        *(pytest.param(TWO_FINE_BLOCKS, selected, id=f"2-{name}") for name, selected in SELECTIONS.items()),
        pytest.param(THREE_FINE_BLOCKS, scattered_voxels(side=32), id="3-scattered"),
    ],
)
def test_draws_are_those_of_the_plain_implementation(widths, selected):
    network = random_network(widths)
    features, deterministic = encode(network, side=len(selected))
    window = network.cached_window(features)
    masks = [network.sample_dropout_masks(np.random.default_rng(seed)) for seed in range(3)]
    deep = network.deep_features(window, tuple(map(torch.stack, zip(*masks, strict=True))))
    logits = network.sparse_logits(window, deep, network.sparse_sites(window, selected))
    where, sites = torch.from_numpy(selected), len(network.encoder.dropouts)
    assert logits.shape == (3, 1, selected.sum())
    for draw, mask in zip(logits, masks, strict=True):
        expected = dense_reference(network.decoder, features, mask[sites:], selected)[:, where]
        assert torch.allclose(draw, expected, atol=1e-4), float((draw - expected).abs().max())
        assert (expected - deterministic[0][:, where]).abs().max() > 0.01, "dropout changes the logits"


def test_one_fine_block_at_all_voxels_has_the_normalisation_of_the_draw_itself():
    """Then the corrected moments are those of the draw's own window, and nothing is approximated."""
    network = random_network(ONE_FINE_BLOCK)
    features, _ = encode(network)
    window = network.cached_window(features)
    mask = network.sample_dropout_masks(np.random.default_rng(0))
    deep = network.deep_features(window, tuple(m[None] for m in mask))
    logits = network.sparse_logits(window, deep, network.sparse_sites(window, SELECTIONS["all"]))
    exact = network(features, torch.ones(1, 2), mask, stage="decoder")
    assert torch.allclose(logits.flatten(), exact.flatten(), atol=1e-3)


def test_without_dropout_selected_voxels_have_the_values_of_the_whole_window(network):
    features, whole = encode(network)
    window = network.cached_window(features)
    assert torch.allclose(window.logits, whole, atol=1e-5)
    selected = scattered_voxels()
    deep = sparse_decoder.deep_features(network.decoder, features, None)
    logits = network.sparse_logits(window, deep, network.sparse_sites(window, selected))
    assert logits.shape == (1, 1, selected.sum())
    assert torch.allclose(logits[0, 0], whole[0, 0][torch.from_numpy(selected)], atol=1e-4)


def test_the_receptive_field_of_one_voxel():
    """One voxel of the finest level: 27 for the second convolution, 125 for the first, and their parents."""
    coarse, fine = sparse_decoder.sparse_levels(single_voxel(8, 8, 8), 2)
    assert (len(fine.neighbours2), len(fine.neighbours1), len(fine.position)) == (1, 27, 125)
    assert len(coarse.neighbours2) == 27, "voxels 6 to 10 lie in parents 3, 4 and 5 along each axis"
    assert (len(coarse.neighbours1), len(coarse.position)) == (125, 343)


def test_neighbours_beyond_the_window_are_zero_padding():
    _, fine = sparse_decoder.sparse_levels(single_voxel(0, 0, 0), 2)
    assert len(fine.neighbours1) == 8
    assert (fine.neighbours2 == len(fine.neighbours1)).sum() == 27 - 8, "the others are the row of zeros"


def test_draws_in_a_batch_are_the_draws_one_by_one(network):
    features, _ = encode(network)
    window = network.cached_window(features)
    sites = network.sparse_sites(window, scattered_voxels())
    masks = [network.sample_dropout_masks(np.random.default_rng(seed)) for seed in range(3)]
    deep = [network.deep_features(window, tuple(m[None] for m in mask)) for mask in masks]
    single = [network.sparse_logits(window, d, sites) for d in deep]
    stacked = network.deep_features(window, tuple(map(torch.stack, zip(*masks, strict=True))))
    batch = network.sparse_logits(window, stacked, sites)
    assert torch.allclose(torch.cat(single), batch, atol=1e-4)
    assert not torch.allclose(batch[0], batch[1], atol=1e-2)


def test_a_draw_is_close_to_that_of_the_whole_window(network):
    """They differ by the normalisation only: means and variances are those of the window without dropout."""
    features, whole = encode(network)
    window = network.cached_window(features)
    sites = network.sparse_sites(window, np.ones((16, 16, 16), dtype=bool))
    mask = network.sample_dropout_masks(np.random.default_rng(0))
    deep = network.deep_features(window, tuple(m[None] for m in mask))
    logits = network.sparse_logits(window, deep, sites).flatten()
    exact = network(features, torch.ones(1, 2), mask, stage="decoder").flatten()
    change = torch.stack([logits, exact]) - whole.flatten()
    assert torch.corrcoef(change)[0, 1] > 0.8


def test_only_networks_with_dropout_at_the_deepest_levels_support_it():
    def supports(dropout):
        return UNet(replace(CONFIG, dropout=dropout)).sparse_decoding is not None

    assert supports(0.2)
    assert supports((0.0, 0.0, 0.0, 0.2))
    assert not supports(0.0)
    assert not supports((0.0, 0.1, 0.1, 0.1))
