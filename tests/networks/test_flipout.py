import numpy as np
import pytest
import torch
from torch import nn

from adumbra.networks.flipout import FlipoutConv3d, make_variational, variational_layers
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig


@pytest.fixture
def convolution():
    torch.manual_seed(0)
    return FlipoutConv3d.of(nn.Conv3d(3, 5, 3, padding=1))


def test_in_evaluation_the_weights_are_their_means(convolution):
    x = torch.randn(2, 3, 6, 6, 6)
    plain = nn.functional.conv3d(x, convolution.weight, convolution.bias, padding=1)
    assert torch.equal(convolution.eval()(x), plain)


def test_the_examples_of_a_batch_have_different_noise_of_mean_zero(convolution):
    x = torch.randn(1, 3, 6, 6, 6).expand(400, -1, -1, -1, -1)
    noise = (convolution(x) - convolution.eval()(x)).detach()
    assert not torch.equal(noise[0], noise[1])
    assert noise.mean().abs() < 0.1 * noise.std()


def test_the_spread_of_the_output_is_that_of_sampled_weights(convolution):
    x = torch.randn(1, 3, 4, 4, 4)
    mean = convolution.eval()(x)
    flipped, sampled = [], []
    for _ in range(300):
        flipped.append((convolution.train()(x) - mean).detach())
        weight = convolution.weight + convolution.log_sigma.exp() * torch.randn_like(convolution.weight)
        sampled.append((nn.functional.conv3d(x, weight, convolution.bias, padding=1) - mean).detach())
    spread, expected = (float(torch.cat(noise).std()) for noise in (flipped, sampled))
    assert spread == pytest.approx(expected, rel=0.05)


def test_the_divergence_of_one_weight_by_hand():
    """KL(N(1, 1) ‖ N(0, 4)) = (1/4 + 1/4 - 1 + ln 4) / 2 = 0.4431; against itself it is 0."""
    torch.manual_seed(0)
    one = FlipoutConv3d.of(nn.Conv3d(1, 1, 1, bias=False))
    with torch.no_grad():
        one.weight.fill_(1.0)
        one.log_sigma.fill_(0.0)
    assert float(one.divergence(2.0).detach()) == pytest.approx(0.5 * (0.5 - 1.0 + np.log(4.0)), abs=1e-6)
    with torch.no_grad():
        one.weight.fill_(0.0)
    assert float(one.divergence(1.0).detach()) == pytest.approx(0.0, abs=1e-6)
    assert float(one.divergence().detach()) == pytest.approx(0.0, abs=1e-6)


def test_a_part_of_a_network_becomes_variational_and_keeps_its_means():
    torch.manual_seed(0)
    network = UNet(UNetConfig(widths=(4, 8), dropout=0.0))
    x, present = torch.randn(1, 4, 8, 8, 8), torch.ones(1, 4)
    before = network.eval()(x, present)
    make_variational(network, "decoder.b")
    names = [name for name, _ in variational_layers(network)]
    assert names
    assert all(name.startswith("decoder.b") for name in names)
    assert torch.equal(network.eval()(x, present), before)
    assert not torch.equal(network.train()(x, present), network(x, present))


def test_training_finds_the_exact_posterior_of_a_regression():
    """For y = w·φ + noise the best mean-field Gaussian has the exact mean, and the diagonal of the exact precision.

    The voxels of a 1×1×1 convolution are the measurements; Λ = ΦᵀΦ / σ² + I / s².
    """
    torch.manual_seed(0)
    noise, prior, n = 0.5, 2.0, 64
    phi = torch.randn(n, 2) @ torch.tensor([[1.0, 0.6], [0.0, 0.8]])
    y = phi @ torch.tensor([0.7, -0.4]) + noise * torch.randn(n)
    precision = phi.T @ phi / noise**2 + torch.eye(2) / prior**2
    exact = torch.linalg.solve(precision, phi.T @ y / noise**2)
    layer = FlipoutConv3d.of(nn.Conv3d(2, 1, 1, bias=False))
    x = phi.T.reshape(1, 2, n, 1, 1).expand(64, -1, -1, -1, -1)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 600)
    for _ in range(600):
        residual = layer(x).reshape(64, n) - y
        loss = 0.5 * (residual**2).sum() / noise**2 / 64 + layer.divergence(prior)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    assert layer.weight.detach().flatten().tolist() == pytest.approx(exact.tolist(), abs=0.01)
    sigma = layer.log_sigma.detach().exp().flatten()
    assert sigma.tolist() == pytest.approx((1.0 / precision.diagonal().sqrt()).tolist(), rel=0.1)  # noise of training
