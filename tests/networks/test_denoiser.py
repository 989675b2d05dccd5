"""Denoisers of images and of masks: shapes, and their dependence on images, noise and time."""

from dataclasses import replace

import pytest
import torch

from adumbra.diffusion.denoising import add_noise, convert
from adumbra.diffusion.schedule import Schedule
from adumbra.networks.denoiser import ImageDenoiser, MaskDenoiser, MaskDenoiserConfig, TimeEmbedding
from adumbra.networks.registry import architecture_of, network_of
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig

TINY = UNetConfig(modalities=("dwi", "adc"), widths=(4, 8, 8))
MASKS = MaskDenoiserConfig(modalities=("dwi", "adc"), widths=(4, 8, 8), windows=(None, None, None))


def conditioned_on_time(network):
    """The network with random modulations; those of an untrained network are zero, so that time has no effect."""
    torch.manual_seed(3)
    for name, parameter in network.named_parameters():
        if name.endswith("modulation"):
            torch.nn.init.normal_(parameter, std=0.5)
    return network.eval()


def test_times_have_distinct_embeddings():
    embedding = TimeEmbedding()(torch.linspace(0, 1, 101))
    assert embedding.shape == (101, 32)
    distance = torch.cdist(embedding, embedding) + torch.eye(101)
    assert distance.min() > 1e-4


def test_the_image_denoiser_trains_the_encoder_of_the_segmenter():
    torch.manual_seed(0)
    segmenter, denoiser = UNet(TINY).eval(), conditioned_on_time(ImageDenoiser(TINY))
    images, present = torch.randn(2, 2, 8, 8, 8), torch.ones(2, 2)
    features = segmenter.features_before("decoder", images, present)
    early, late = (denoiser(features, images, torch.full((2,), t)) for t in (0.1, 0.9))
    assert early.shape == images.shape
    assert early.dtype == torch.float32
    assert not torch.allclose(early, late)
    early.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in segmenter.encoder.parameters() if p.ndim > 2)


def test_an_untrained_denoiser_predicts_the_noise_at_time_1():
    torch.manual_seed(0)
    segmenter, denoiser = UNet(TINY).eval(), ImageDenoiser(TINY)
    images, noise, t = torch.randn(2, 2, 8, 8, 8), torch.randn(2, 2, 8, 8, 8), torch.ones(2)
    x = add_noise(images, t, noise, Schedule())
    velocity = denoiser(segmenter.features_before("decoder", x, torch.ones(2, 2)), x, t)
    predicted = convert(velocity, x, t, Schedule(), given="velocity", wanted="noise")
    assert (predicted - noise).square().mean() < 1e-3


@pytest.mark.parametrize("attends", [False, True])
def test_a_mask_denoiser_depends_on_images_noise_and_time(attends):
    config = replace(MASKS, windows=(1, 2, 0), guided=True) if attends else MASKS
    torch.manual_seed(0)
    network = conditioned_on_time(MaskDenoiser(config))
    x, present = torch.randn(1, 2 + config.guidance_channels, 8, 8, 8), torch.ones(1, 2)
    features, noisy, t = network.features_before("decoder", x, present), torch.randn(1, 1, 8, 8, 8), torch.tensor([0.5])
    logits = network.denoise(features, noisy, t)
    assert logits.shape == (1, 1, 8, 8, 8)
    assert not torch.allclose(logits, network.denoise(features, torch.randn_like(noisy), t))
    assert not torch.allclose(logits, network.denoise(features, noisy, torch.tensor([0.9])))
    assert not torch.allclose(logits, network.denoise(network.features_before("decoder", 2 * x + 1, present), noisy, t))


def test_the_deterministic_output_is_the_estimate_at_time_1():
    network = conditioned_on_time(MaskDenoiser(MASKS))
    x, present = torch.randn(2, 2, 8, 8, 8), torch.ones(2, 2)
    blank, end = torch.zeros(2, 1, 8, 8, 8), torch.ones(2)
    expected = network.denoise(network.features_before("decoder", x, present), blank, end)
    assert torch.equal(network(x, present), expected)
    assert torch.equal(network(network.features_before("decoder", x, present), present, stage="decoder"), expected)
    assert torch.equal(network(network.features_before("encoder", x, present), present), expected)


def test_it_is_registered():
    assert architecture_of(MASKS) == "mask-denoiser"
    assert isinstance(network_of(MASKS), MaskDenoiser)
    assert network_of(MASKS).first_stochastic_stage == "decoder"
