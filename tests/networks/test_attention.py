"""Cross-attention: by hand, missing modalities, windows, the gate."""

import numpy as np
import pytest
import torch

from adumbra.networks.attention import CrossAttention, UncertaintyGate


def attention(window, *, modalities=2, channels=4, heads=2, guided=False):
    torch.manual_seed(0)
    network = CrossAttention(channels, modalities, window=window, heads=heads, guided=guided)
    torch.nn.init.normal_(network.output.weight, std=0.5)  # zero before training
    return network


def features(shape=(5, 4, 3), *, modalities=2, channels=4, batch=2):
    torch.manual_seed(1)
    return torch.randn(batch, channels, *shape), torch.randn(batch, modalities, channels, *shape)


@pytest.mark.parametrize("window", [1, 2, 3, 0])
def test_weights_sum_to_one_and_the_shape_is_preserved(window):
    primary, others = features()
    attended, weights = attention(window)(primary, others, torch.ones(2, 2))
    assert attended.shape == primary.shape
    assert weights.shape == (2, 2, 5, 4, 3)
    assert torch.allclose(weights.sum(1), torch.ones(()), atol=1e-5)


@pytest.mark.parametrize("window", [1, 2, 0])
def test_a_missing_modality_is_ignored_exactly(window):
    primary, others = features()
    present = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    network = attention(window)
    attended, weights = network(primary, others, present)
    changed = others.clone()
    for anything in (1e3 * torch.randn_like(changed[0, 1]), torch.nan, torch.inf):
        changed[0, 1] = anything
        again, _ = network(primary, changed, present)
        assert torch.equal(attended, again)
    assert weights[0, 1].abs().max() == 0
    assert weights[1, 1].min() > 0


def test_without_other_modalities_the_output_is_zero():
    primary, others = features()
    attended, weights = attention(2)(primary, others, torch.zeros(2, 2))
    assert attended.abs().max() == weights.abs().max() == 0
    attended.sum().backward()  # and no gradient is NaN
    network = attention(2)
    network(primary, others, torch.zeros(2, 2))[0].sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("window", [1, 2])
def test_an_untrained_attention_adds_nothing_and_can_be_trained(window):
    primary, others = features()
    network = CrossAttention(4, 2, window=window)
    attended, weights = network(primary, others, torch.ones(2, 2))
    assert attended.abs().max() == 0
    assert weights.std() > 0
    (attended - primary).square().sum().backward()
    assert network.output.weight.grad.abs().max() > 0


def test_one_voxel_by_hand():
    """With zero queries and keys the weights are equal, and the output is the mean over the available modalities."""
    network = attention(1, modalities=3, channels=2, heads=1)
    with torch.no_grad():
        for layer in (network.query, network.key):
            layer.weight.zero_()
        for layer in (network.value, network.output):
            layer.weight.copy_(torch.eye(2))
    others = torch.arange(6.0).view(1, 3, 2, 1, 1, 1)
    attended, weights = network(torch.ones(1, 2, 1, 1, 1), others, torch.tensor([[1.0, 0.0, 1.0]]))
    assert attended.flatten().tolist() == [2.0, 3.0]  # of (0, 1) and (4, 5)
    assert weights.flatten().tolist() == [0.5, 0.0, 0.5]


def test_uncertainty_lowers_the_weight_of_its_modality_by_hand():
    """exp(-softplus(0) U): an uncertainty of 1 halves the weight of a key."""
    network = attention(1, modalities=2, channels=2, heads=1, guided=True)
    with torch.no_grad():
        network.query.weight.zero_()
    others, guidance = torch.randn(1, 2, 2, 1, 1, 1), torch.tensor([0.0, 1.0]).view(1, 2, 1, 1, 1)
    _, weights = network(torch.ones(1, 2, 1, 1, 1), others, torch.ones(1, 2), guidance)
    assert weights.flatten().tolist() == pytest.approx([2 / 3, 1 / 3])


@pytest.mark.parametrize("window", [1, 2])
def test_a_voxel_attends_within_its_own_window_only(window):
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


def test_incomplete_windows_at_the_end_are_windows_of_their_own():
    """With sides of 5, 4 and 3 and windows of 2, the last slice has a window of its own with half as many voxels."""
    primary, others = features()
    network = attention(2)
    whole, _ = network(primary, others, torch.ones(2, 2))
    part, _ = network(primary[:, :, 4:], others[:, :, :, 4:], torch.ones(2, 2))
    assert torch.allclose(whole[:, :, 4:], part, atol=1e-6)


def test_the_gate_rises_with_uncertainty_and_is_zero_at_minus_infinity():
    gate = UncertaintyGate()
    uncertainty = torch.linspace(0, 1, 11)
    gates = gate(uncertainty).detach()
    assert (np.diff(gates.numpy()) > 0).all()
    assert gates[0] == pytest.approx(0.119, abs=1e-3)  # sigmoid(-2)
    assert gates[-1] == pytest.approx(0.881, abs=1e-3)  # sigmoid(2)
    with torch.no_grad():
        gate.steepness.fill_(-50.0)
        assert (np.diff(gate(uncertainty).numpy()) >= 0).all()
        gate.offset.fill_(-torch.inf)
    assert gate(uncertainty).abs().max() == 0


def test_the_special_case_of_one_voxel_agrees_with_the_general_one():
    """Windows of one voxel are computed directly; a map of one voxel is computed as a window."""
    primary, others = features((3, 2, 2))
    direct, general = attention(1, guided=True), attention(0, guided=True)
    present, guidance = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.rand(2, 2, 3, 2, 2)
    attended, weights = direct(primary, others, present, guidance)
    for x, y, z in np.ndindex(3, 2, 2):
        at = np.s_[..., x : x + 1, y : y + 1, z : z + 1]
        one, weight = general(primary[at], others[at], present, guidance[at])
        assert torch.allclose(attended[at], one, atol=1e-5)
        assert torch.allclose(weights[at], weight, atol=1e-5)
