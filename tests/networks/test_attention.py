"""Attention across modalities: by hand, exactness of what is missing, windows, the gate."""

import numpy as np
import pytest
import torch

from adumbra.networks.attention import CrossAttention, UncertaintyGate


def attention(window, *, modalities=2, channels=4, heads=2, doubting=False):
    torch.manual_seed(0)
    network = CrossAttention(channels, modalities, window=window, heads=heads, doubting=doubting)
    torch.nn.init.normal_(network.output.weight, std=0.5)  # untrained, it would say nothing
    return network


def features(shape=(5, 4, 3), *, modalities=2, channels=4, batch=2):
    torch.manual_seed(1)
    return torch.randn(batch, channels, *shape), torch.randn(batch, modalities, channels, *shape)


@pytest.mark.parametrize("window", [1, 2, 3, 0])
def test_shares_sum_to_one_and_shapes_stay(window):
    primary, others = features()
    heard, shares = attention(window)(primary, others, torch.ones(2, 2))
    assert heard.shape == primary.shape
    assert shares.shape == (2, 2, 5, 4, 3)
    assert torch.allclose(shares.sum(1), torch.ones(()), atol=1e-5)


@pytest.mark.parametrize("window", [1, 2, 0])
def test_a_missing_modality_is_ignored_exactly(window):
    primary, others = features()
    there = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    network = attention(window)
    heard, shares = network(primary, others, there)
    changed = others.clone()
    for anything in (1e3 * torch.randn_like(changed[0, 1]), torch.nan, torch.inf):
        changed[0, 1] = anything
        again, _ = network(primary, changed, there)
        assert torch.equal(heard, again)
    assert shares[0, 1].abs().max() == 0
    assert shares[1, 1].min() > 0


def test_where_nobody_is_there_nothing_is_heard():
    primary, others = features()
    heard, shares = attention(2)(primary, others, torch.zeros(2, 2))
    assert heard.abs().max() == shares.abs().max() == 0
    heard.sum().backward()  # and no gradient is NaN
    network = attention(2)
    network(primary, others, torch.zeros(2, 2))[0].sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("window", [1, 2])
def test_untrained_it_says_nothing_and_learns_to(window):
    primary, others = features()
    network = CrossAttention(4, 2, window=window)
    heard, shares = network(primary, others, torch.ones(2, 2))
    assert heard.abs().max() == 0
    assert shares.std() > 0
    (heard - primary).square().sum().backward()
    assert network.output.weight.grad.abs().max() > 0


def test_one_voxel_by_hand():
    """Queries and keys of nothing weigh all alike: the output is the mean of the values of those that are there."""
    network = attention(1, modalities=3, channels=2, heads=1)
    with torch.no_grad():
        for layer in (network.query, network.key):
            layer.weight.zero_()
        for layer in (network.value, network.output):
            layer.weight.copy_(torch.eye(2))
    others = torch.arange(6.0).view(1, 3, 2, 1, 1, 1)
    heard, shares = network(torch.ones(1, 2, 1, 1, 1), others, torch.tensor([[1.0, 0.0, 1.0]]))
    assert heard.flatten().tolist() == [2.0, 3.0]  # of (0, 1) and (4, 5)
    assert shares.flatten().tolist() == [0.5, 0.0, 0.5]


def test_doubt_lowers_the_share_of_its_modality_by_hand():
    """exp(-softplus(0) U): a doubt of 1 halves the weight of a key."""
    network = attention(1, modalities=2, channels=2, heads=1, doubting=True)
    with torch.no_grad():
        network.query.weight.zero_()
    others, guidance = torch.randn(1, 2, 2, 1, 1, 1), torch.tensor([0.0, 1.0]).view(1, 2, 1, 1, 1)
    _, shares = network(torch.ones(1, 2, 1, 1, 1), others, torch.ones(1, 2), guidance)
    assert shares.flatten().tolist() == pytest.approx([2 / 3, 1 / 3])


@pytest.mark.parametrize("window", [1, 2])
def test_a_voxel_sees_its_own_window_alone(window):
    primary, others = features((4, 4, 4), batch=1)
    network = attention(window)
    first, _ = network(primary, others, torch.ones(1, 2))
    changed = others.clone()
    changed[..., 3, 3, 3] += 1.0
    second, _ = network(primary, changed, torch.ones(1, 2))
    differs = (first != second).any(1)[0]
    assert differs[4 - window :, 4 - window :, 4 - window :].any()
    differs[4 - window :, 4 - window :, 4 - window :] = False
    assert not differs.any()


def test_windows_of_a_volume_that_no_window_fits_are_those_of_its_parts():
    """Sides of 5, 4 and 3 in windows of 2: the last slice has a window of its own, of half as many voxels."""
    primary, others = features()
    network = attention(2)
    whole, _ = network(primary, others, torch.ones(2, 2))
    part, _ = network(primary[:, :, 4:], others[:, :, :, 4:], torch.ones(2, 2))
    assert torch.allclose(whole[:, :, 4:], part, atol=1e-6)


def test_the_gate_opens_with_doubt_and_is_shut_at_minus_infinity():
    gate = UncertaintyGate()
    doubt = torch.linspace(0, 1, 11)
    opened = gate(doubt).detach()
    assert (np.diff(opened.numpy()) > 0).all()
    assert opened[0] == pytest.approx(0.119, abs=1e-3)  # sigmoid(-2)
    assert opened[-1] == pytest.approx(0.881, abs=1e-3)  # sigmoid(2)
    with torch.no_grad():
        gate.steepness.fill_(-50.0)
        assert (np.diff(gate(doubt).numpy()) >= 0).all()
        gate.offset.fill_(-torch.inf)
    assert gate(doubt).abs().max() == 0


def test_one_voxel_is_a_window_like_any_other():
    """The way that is quick for single voxels, beside the general one for a map of one voxel."""
    primary, others = features((3, 2, 2))
    quick, general = attention(1, doubting=True), attention(0, doubting=True)
    there, guidance = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.rand(2, 2, 3, 2, 2)
    heard, shares = quick(primary, others, there, guidance)
    for x, y, z in np.ndindex(3, 2, 2):
        at = np.s_[..., x : x + 1, y : y + 1, z : z + 1]
        one, share = general(primary[at], others[at], there, guidance[at])
        assert torch.allclose(heard[at], one, atol=1e-5)
        assert torch.allclose(shares[at], share, atol=1e-5)
