"""The cross-modal network: missing modalities, closed gates, and what it has in common with the U-Net."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adumbra.networks.crossmodal import CrossModal, CrossModalConfig, LateAverage
from adumbra.networks.registry import ARCHITECTURES, network_of
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig

TINY = CrossModalConfig(widths=(4, 8, 8), windows=(1, 2, 0), guided=True)
KINDS = {
    "guided": TINY,
    "unguided": replace(TINY, guided=False),
    "all": replace(TINY, primary=None, windows=(1, 2, None)),
    "separate": replace(TINY, shared=False),
}


def random_network(config):
    torch.manual_seed(0)
    network = CrossModal(config).eval()
    for name, parameter in network.named_parameters():
        if name.endswith(("modulation", "output.weight")) or "tokens" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return network


def batch(config, size=8, samples=2):
    torch.manual_seed(1)
    images = torch.randn(samples, len(config.modalities), size, size, size)
    guidance = torch.rand(samples, config.guidance_channels, size, size, size)
    return torch.cat([images, guidance], dim=1), torch.ones(samples, len(config.modalities))


@pytest.mark.parametrize("kind", KINDS)
def test_it_computes_stages_and_dropout_as_the_unet_does(kind):
    network, (x, present) = random_network(KINDS[kind]), batch(KINDS[kind])
    logits = network(x, present)
    assert logits.shape == (2, 1, 8, 8, 8)
    assert torch.allclose(network(network.features_before("decoder", x, present), present, stage="decoder"), logits)
    masks = network.sample_dropout_masks(np.random.default_rng(0))
    assert network.sparse_decoding is network
    assert not torch.allclose(network(x, present, masks), logits)
    network.train()(x, present).sum().backward()
    without_gradient = {n for n, p in network.named_parameters() if p.grad is None}
    assert all("tokens" in name or "shortcut" in name for name in without_gradient), without_gradient


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [0, 2])
def test_a_missing_modality_is_ignored_exactly(kind, missing):
    """Whatever its channel holds. 0 is the primary modality, which its token replaces."""
    config = KINDS[kind]
    network, (x, present) = random_network(config), batch(config)
    present[:, missing] = 0.0
    x[:, missing] = 0.0
    first = network(x, present)
    assert torch.isfinite(first).all()
    if config.primary is None:
        return  # a U-Net depends on zeros in missing channels
    changed = x.clone()
    for anything in (torch.randn_like(changed[:, missing]), torch.nan):
        changed[:, missing] = anything
        assert torch.equal(first, network(changed, present))


@pytest.mark.parametrize("kind", ["guided", "all", "separate"])
def test_with_closed_gates_it_is_the_primary_network_bit_for_bit(kind):
    config = KINDS[kind]
    network, (x, present) = random_network(config), batch(config)
    with torch.no_grad():
        for gate in network.encoder.gates.values():
            gate.offset.fill_(-torch.inf)
    without_attention = random_network(replace(config, windows=(None, None, None)))
    own = {n: t for n, t in network.state_dict().items() if n in without_attention.state_dict()}
    without_attention.load_state_dict(own)
    assert torch.equal(network(x, present), without_attention(x, present))


def test_the_joint_encoder_without_attention_is_the_unet():
    config = replace(TINY, primary=None, guided=False, windows=(None, None, None))
    network, (x, present) = random_network(config), batch(config)
    plain = UNet(UNetConfig(widths=TINY.widths)).eval()
    weights = {
        n.replace("encoder.joint.", "encoder."): t for n, t in network.state_dict().items() if ".single." not in n
    }
    plain.load_state_dict(weights)
    assert torch.equal(network(x, present), plain(x, present))


def test_guidance_maps_are_used_except_that_of_the_primary_modality():
    network, (x, present) = random_network(TINY), batch(TINY)
    certain = x.clone()
    certain[:, 4] = 0.0
    assert not torch.allclose(network(x, present), network(certain, present))
    changed = x.clone()
    changed[:, 5] = 1.0 - changed[:, 5]  # the uncertainty of the primary modality alone is unused
    assert torch.equal(network(x, present), network(changed, present))
    changed[:, 6] = 1.0 - changed[:, 6]
    assert not torch.allclose(network(x, present), network(changed, present))


def test_attention_weights_by_level():
    network, (x, present) = random_network(TINY), batch(TINY)
    present[:, 1] = 0.0
    weights = network.attention_weights(x, present)
    assert {level: tuple(w.shape) for level, w in weights.items()} == {
        0: (2, 3, 8, 8, 8),
        1: (2, 3, 4, 4, 4),
        2: (2, 3, 2, 2, 2),
    }
    assert TINY.others == ("adc", "b0", "flair")
    for weight in weights.values():
        assert torch.allclose(weight.sum(1), torch.ones(()), atol=1e-5)
        assert weight[:, 0].abs().max() == 0


def test_encoders_of_single_modalities_share_their_convolutions_if_configured():
    shared, separate = (
        sum(p.numel() for p in random_network(KINDS[k]).encoder.single.parameters()) for k in ("guided", "separate")
    )
    assert separate > 3 * shared


def test_a_config_is_restored_from_plain_values():
    assert CrossModalConfig.from_json(TINY.as_json()) == TINY
    assert isinstance(network_of(ARCHITECTURES["crossmodal"].config.from_json(TINY.as_json())), CrossModal)
    for wrong in ({"windows": (1,)}, {"primary": "tof"}, {"heads": 3}, {"slim": 3}, {"dropout": (0.1, 0.1, 0.1)}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            replace(TINY, **wrong)


def test_the_late_average_is_the_mean_probability_over_single_modalities():
    torch.manual_seed(0)
    config = UNetConfig(widths=(4, 8), modalities=("dwi", "adc"))
    late, single = LateAverage(config).eval(), UNet(config).eval()
    single.load_state_dict(late.state_dict())
    x, present = torch.randn(1, 2, 8, 8, 8), torch.ones(1, 2)
    one_hot = torch.eye(2)
    each = [single(x * one_hot[m].view(1, 2, 1, 1, 1), one_hot[m : m + 1]).sigmoid() for m in (0, 1)]
    assert torch.allclose(late(x, present).sigmoid(), (each[0] + each[1]) / 2, atol=1e-5)
    assert torch.allclose(late(x, one_hot[:1]).sigmoid(), each[0], atol=1e-5)
    masks = late.sample_dropout_masks(np.random.default_rng(0))
    assert late.first_stochastic_stage == "encoder"
    drawn = late(late.features_before("encoder", x, present), present, masks)
    assert not torch.allclose(drawn, late(x, present))
