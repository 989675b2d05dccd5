from dataclasses import replace

import numpy as np
import pytest
import torch

from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig

TINY = UNetConfig(widths=(4, 8, 8))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return UNet(TINY)


def batch(size=16, samples=1):
    torch.manual_seed(1)
    return torch.randn(samples, 4, size, size, size), torch.ones(samples, 4)


@pytest.mark.parametrize("side", [8, 12, 20])
def test_the_output_has_one_channel_per_target_at_full_resolution(network, side):
    x, present = batch(side)
    assert network(x, present).shape == (1, 1, side, side, side)


def test_two_targets_give_two_channels():
    config = UNetConfig(widths=(4, 8), targets=("lesion", "thrombus"))
    assert UNet(config)(*batch(8)).shape == (1, 2, 8, 8, 8)


def test_an_untrained_network_predicts_low_probabilities(network):
    assert network.eval()(*batch()).sigmoid().mean() < 0.2


def test_the_output_depends_on_which_modalities_are_present(network):
    """Instance normalisation removes the trace of a channel of zeros; the condition on ``present`` does not."""
    network.eval()
    for name, parameter in network.named_parameters():
        if name.endswith("modulation"):
            torch.nn.init.normal_(parameter, std=0.5)
    x, present = batch()
    assert not torch.allclose(network(x, present), network(x, present * torch.tensor([1.0, 1.0, 0.0, 1.0])))


def test_the_condition_is_learned_from_the_first_step(network):
    network(*batch()).sum().backward()
    assert all(p.grad.abs().sum() > 0 for n, p in network.named_parameters() if n.endswith("modulation"))


def test_the_encoder_is_deterministic_even_while_training(network):
    first, second = (network.encoder(*batch()) for _ in range(2))
    assert [f.shape[1] for f in first] == [4, 8, 8]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_dropout_acts_in_training_and_with_given_masks_only(network):
    x, present = batch()
    torch.manual_seed(3)
    assert not torch.equal(network(x, present), network(x, present))
    network.eval()
    assert torch.equal(network(x, present), network(x, present))
    masks = network.sample_dropout_masks(np.random.default_rng(0))
    assert torch.equal(network(x, present, masks), network(x, present, masks))
    assert not torch.equal(network(x, present, masks), network(x, present))


@pytest.mark.parametrize("dropout", [0.2, (0.1, 0.2, 0.3)])
def test_the_stages_one_by_one_give_the_whole_network(dropout):
    network = UNet(replace(TINY, dropout=dropout)).eval()
    x, present = batch()
    masks = network.sample_dropout_masks(np.random.default_rng(0))
    assert torch.equal(
        network(network.features_before("encoder", x, present), present, masks), network(x, present, masks)
    )
    for stage in ("decoder", "head"):
        assert torch.equal(
            network(network.features_before(stage, x, present), present, stage=stage), network(x, present)
        )


def test_a_network_can_predict_the_noise_of_its_logits():
    network = UNet(replace(TINY, noise_rank=3, targets=("lesion", "thrombus"))).eval()
    logits, spread, factors = network.logit_distribution(*batch(8))
    assert logits.shape == spread.shape == (1, 2, 8, 8, 8)
    assert [f.shape for f in factors] == [(1, 2, 8, 8, 8)] * 3
    assert spread.detach().numpy() == pytest.approx(np.exp(-2.0))
    with pytest.raises(ValueError, match="noise_rank"):
        UNet(TINY).logit_distribution(*batch(8))


def test_masks_drop_the_share_of_the_config():
    network = UNet(UNetConfig(widths=(4, 256, 256), dropout=0.25))
    masks = network.sample_dropout_masks(np.random.default_rng(0))
    assert [m.numel() for m in masks] == [4, 256, 256, 256, 256, 4]
    assert all(m.all() for m in (masks[0], masks[1], masks[-1]))
    assert torch.cat(masks[2:5]).mean() == pytest.approx(0.75, abs=0.05)


def test_the_default_fits_ten_megabytes_in_float16():
    assert sum(p.numel() for p in UNet().parameters()) * 2 < 10e6


def test_a_config_is_restored_from_plain_values():
    config = UNetConfig(modalities=("dwi", "adc"), widths=(16, 32), dropout=0.1)
    assert UNetConfig.from_json(config.as_json()) == config
    with pytest.raises(TypeError, match="colour"):
        UNetConfig.from_json(config.as_json() | {"colour": 1})


def test_a_field_that_an_old_config_lacks_takes_its_default():
    values = UNetConfig(widths=(4, 8)).as_json()
    del values["noise_rank"]
    assert UNetConfig.from_json(values) == UNetConfig(widths=(4, 8))


def test_dropout_is_one_rate_or_one_for_each_level():
    with pytest.raises(ValueError, match="each of 3 levels"):
        UNetConfig(widths=(4, 8, 8), dropout=(0.1, 0.2))
    config = UNetConfig(widths=(4, 8, 8), dropout=(0.1, 0.2, 0.3))
    assert UNetConfig.from_json(config.as_json()) == config
