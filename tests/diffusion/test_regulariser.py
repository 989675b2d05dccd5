"""The blurred images of the diffusion model, and its loss, by hand."""

import numpy as np
import pytest
import torch

from adumbra.core.errors import InputRejected
from adumbra.diffusion.regulariser import SPREAD, BlurConfig, RegulariserConfig, blur_images, regularising_loss


def blurred_half(kind, *, max_mm=4.0, seed=0):
    """Images that are uncertain in one half, the brain, and the blurred images."""
    torch.manual_seed(1)
    images, uncertainty = torch.randn(2, 3, 12, 12, 12), torch.zeros(2, 1, 12, 12, 12)
    uncertainty[:, :, 6:] = torch.rand(2, 1, 6, 12, 12)
    brain = torch.ones(2, 1, 12, 12, 12)
    brain[:, :, :, :2] = 0.0
    blurred = blur_images(
        images, uncertainty, brain, BlurConfig(kind, max_mm), spacing_mm=2.0, generator=np.random.default_rng(seed)
    )
    return images, brain, blurred


def test_none_changes_nothing():
    images, _, blurred = blurred_half("none")
    assert blurred is images


def test_focused_blurs_uncertain_voxels_and_inverse_the_others():
    images, brain, blurred = blurred_half("focused")
    assert torch.equal(blurred[:, :, :6], images[:, :, :6])
    assert torch.equal(blurred[:, :, :, :2], images[:, :, :, :2]), "outside the brain"
    inside = (brain > 0)[:, :, 6:].expand(-1, 3, -1, -1, -1)
    assert blurred[:, :, 6:][inside].std() < 0.7 * images[:, :, 6:][inside].std()
    _, _, other = blurred_half("inverse")
    certain, uncertain = ((brain > 0)[:, :, part].expand(-1, 3, -1, -1, -1) for part in (slice(0, 6), slice(6, 12)))
    assert other[:, :, :6][certain].std() < other[:, :, 6:][uncertain].std()


def test_controls_blur_both_halves_equally():
    for kind in ("uniform", "shuffled"):
        images, brain, blurred = blurred_half(kind)
        halves = [(brain > 0)[:, :, part].expand(-1, 3, -1, -1, -1) for part in (slice(0, 6), slice(6, 12))]
        ratio = [
            float(blurred[:, :, part][half].std() / images[:, :, part][half].std())
            for part, half in zip((slice(0, 6), slice(6, 12)), halves, strict=True)
        ]
        assert max(ratio) < 0.95
        assert ratio[0] == pytest.approx(ratio[1], rel=0.15)
    assert not torch.equal(blurred_half("shuffled")[2], blurred_half("shuffled", seed=1)[2])


def test_a_blur_needs_an_uncertainty_map():
    images, brain = torch.zeros(1, 1, 4, 4, 4), torch.ones(1, 1, 4, 4, 4)
    with pytest.raises(InputRejected, match="uncertainty"):
        blur_images(images, None, brain, BlurConfig(), spacing_mm=2.0, generator=np.random.default_rng(0))


@pytest.mark.parametrize("diffusion_target", ["noise", "velocity"])
def test_the_loss_is_that_of_the_available_modalities(diffusion_target):
    """The error of a velocity of 0 by theory, for images of the same variance as the noise.

    It is 1 for the velocity, and the signal's share of that for the noise. The other modality is missing, so that its
    prediction has no effect.
    """
    torch.manual_seed(0)
    images, brain = SPREAD * torch.randn(4, 2, 8, 8, 8), torch.ones(4, 1, 8, 8, 8)
    present, config = torch.tensor([[1.0, 0.0]] * 4), RegulariserConfig(diffusion_target=diffusion_target)
    times = []

    def zero_velocity(x, t):
        times.append(t)
        assert t.shape == (4,)
        velocity = torch.zeros_like(x)
        velocity[:, 1] = torch.nan
        return velocity

    loss = regularising_loss(zero_velocity, images, present, brain, config, uniform_number=0.5)
    expected = 1.0 if diffusion_target == "velocity" else float(config.schedule.signal(times[0]).mean())
    assert float(loss) == pytest.approx(expected, abs=0.05)

    def exact_velocity(x, t):
        signal, sigma = (s.view(4, 1, 1, 1, 1) for s in config.schedule.scales(t))
        noise = (x / SPREAD - images / SPREAD * signal) / sigma
        return (signal * noise - sigma * images / SPREAD).to(x)

    loss = regularising_loss(exact_velocity, images, present, brain, config, uniform_number=0.5)
    assert float(loss) < 1e-6


@pytest.mark.parametrize("bad", [{"weight": -1.0}, {"pretrain_share": 1.0}, {"weight": 0.0, "pretrain_share": 0.0}])
def test_a_regulariser_without_effect_is_refused(bad):
    with pytest.raises(InputRejected, match="regulariser"):
        RegulariserConfig(**bad)
