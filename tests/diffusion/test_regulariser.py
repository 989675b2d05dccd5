"""What the diffusion model is shown, and its loss, by hand."""

import numpy as np
import pytest
import torch

from adumbra.core.errors import InputRejected
from adumbra.diffusion.regulariser import SPREAD, BlurConfig, RegulariserConfig, blurred, regularising_loss


def shown(kind, *, max_mm=4.0, seed=0):
    """Images, doubt in one half, brain, and the blurred images."""
    torch.manual_seed(1)
    images, doubt = torch.randn(2, 3, 12, 12, 12), torch.zeros(2, 1, 12, 12, 12)
    doubt[:, :, 6:] = torch.rand(2, 1, 6, 12, 12)
    brain = torch.ones(2, 1, 12, 12, 12)
    brain[:, :, :, :2] = 0.0
    found = blurred(
        images, doubt, brain, BlurConfig(kind, max_mm), spacing_mm=2.0, generator=np.random.default_rng(seed)
    )
    return images, brain, found


def test_none_changes_nothing():
    images, _, found = shown("none")
    assert found is images


def test_focused_blurs_where_there_is_doubt_and_inverse_where_there_is_none():
    images, brain, found = shown("focused")
    assert torch.equal(found[:, :, :6], images[:, :, :6])
    assert torch.equal(found[:, :, :, :2], images[:, :, :, :2]), "outside the brain"
    inside = (brain > 0)[:, :, 6:].expand(-1, 3, -1, -1, -1)
    assert found[:, :, 6:][inside].std() < 0.7 * images[:, :, 6:][inside].std()
    _, _, other = shown("inverse")
    sure, unsure = ((brain > 0)[:, :, part].expand(-1, 3, -1, -1, -1) for part in (slice(0, 6), slice(6, 12)))
    assert other[:, :, :6][sure].std() < other[:, :, 6:][unsure].std()


def test_controls_blur_both_halves_alike():
    for kind in ("uniform", "shuffled"):
        images, brain, found = shown(kind)
        halves = [(brain > 0)[:, :, part].expand(-1, 3, -1, -1, -1) for part in (slice(0, 6), slice(6, 12))]
        ratio = [
            float(found[:, :, part][half].std() / images[:, :, part][half].std())
            for part, half in zip((slice(0, 6), slice(6, 12)), halves, strict=True)
        ]
        assert max(ratio) < 0.95
        assert ratio[0] == pytest.approx(ratio[1], rel=0.15)
    assert not torch.equal(shown("shuffled")[2], shown("shuffled", seed=1)[2])


def test_a_blur_needs_a_doubt():
    images, brain = torch.zeros(1, 1, 4, 4, 4), torch.ones(1, 1, 4, 4, 4)
    with pytest.raises(InputRejected, match="doubt"):
        blurred(images, None, brain, BlurConfig(), spacing_mm=2.0, generator=np.random.default_rng(0))


@pytest.mark.parametrize("diffusion_target", ["noise", "velocity"])
def test_the_loss_is_that_of_the_modalities_that_are_there(diffusion_target):
    """Of voxels whose variance is the noise's, a velocity of 0 is as wrong as one can be without looking: 1 for itself,
    the signal's share of that for the noise. The other modality is not there, whatever is said of it."""
    torch.manual_seed(0)
    images, brain = SPREAD * torch.randn(4, 2, 8, 8, 8), torch.ones(4, 1, 8, 8, 8)
    present, how = torch.tensor([[1.0, 0.0]] * 4), RegulariserConfig(diffusion_target=diffusion_target)
    times = []

    def nothing(x, t):
        times.append(t)
        assert t.shape == (4,)
        said = torch.zeros_like(x)
        said[:, 1] = torch.nan
        return said

    loss = regularising_loss(nothing, images, present, brain, how, uniform_number=0.5)
    expected = 1.0 if diffusion_target == "velocity" else float(how.schedule.signal(times[0]).mean())
    assert float(loss) == pytest.approx(expected, abs=0.05)

    def knowing(x, t):
        signal, sigma = (s.view(4, 1, 1, 1, 1) for s in how.schedule.scales(t))
        noise = (x / SPREAD - images / SPREAD * signal) / sigma
        return (signal * noise - sigma * images / SPREAD).to(x)

    loss = regularising_loss(knowing, images, present, brain, how, uniform_number=0.5)
    assert float(loss) < 1e-6


@pytest.mark.parametrize("bad", [{"weight": -1.0}, {"pretrain_share": 1.0}, {"weight": 0.0, "pretrain_share": 0.0}])
def test_a_regulariser_that_does_nothing_is_refused(bad):
    with pytest.raises(InputRejected, match="regulariser"):
        RegulariserConfig(**bad)
