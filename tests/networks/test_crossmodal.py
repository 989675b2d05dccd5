"""The cross-modal network: what is missing, what is shut, what it shares with the U-Net."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adumbra.networks.crossmodal import CrossModal, CrossModalConfig, LateAverage
from adumbra.networks.registry import ARCHITECTURES, network_of
from adumbra.networks.unet import UNet, UNetConfig

TINY = CrossModalConfig(widths=(4, 8, 8), windows=(1, 2, 0), guided=True)
KINDS = {
    "guided": TINY,
    "unguided": replace(TINY, guided=False),
    "all": replace(TINY, primary=None, windows=(1, 2, None)),
    "apart": replace(TINY, shared=False),
}


def made(config):
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
def test_it_is_a_network_like_the_others(kind):
    network, (x, present) = made(KINDS[kind]), batch(KINDS[kind])
    logits = network(x, present)
    assert logits.shape == (2, 1, 8, 8, 8)
    assert torch.allclose(network(network.features_before("decoder", x, present), present, stage="decoder"), logits)
    masks = network.sample_dropout_masks(np.random.default_rng(0))
    assert network.supports_sparse_decoding
    assert not torch.allclose(network(x, present, masks), logits)
    network.train()(x, present).sum().backward()
    without = {n for n, p in network.named_parameters() if p.grad is None}
    assert all("tokens" in name or "shortcut" in name for name in without), without


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [0, 2])
def test_a_missing_modality_is_ignored_exactly(kind, missing):
    """Whatever stands in its channel; 0 is the primary one, for which its token stands."""
    config = KINDS[kind]
    network, (x, present) = made(config), batch(config)
    present[:, missing] = 0.0
    x[:, missing] = 0.0
    first = network(x, present)
    assert torch.isfinite(first).all()
    if config.primary is None:
        return  # a U-Net is told what is missing, and is given zeros there
    changed = x.clone()
    for anything in (torch.randn_like(changed[:, missing]), torch.nan):
        changed[:, missing] = anything
        assert torch.equal(first, network(changed, present))


@pytest.mark.parametrize("kind", ["guided", "all", "apart"])
def test_a_gate_that_is_shut_gives_the_primary_network_bit_for_bit(kind):
    config = KINDS[kind]
    network, (x, present) = made(config), batch(config)
    with torch.no_grad():
        for gate in network.encoder.gates.values():
            gate.offset.fill_(-torch.inf)
    deaf = made(replace(config, windows=(None, None, None)))
    own = {n: t for n, t in network.state_dict().items() if n in deaf.state_dict()}
    deaf.load_state_dict(own)
    assert torch.equal(network(x, present), deaf(x, present))


def test_all_together_without_attention_is_the_unet():
    config = replace(TINY, primary=None, guided=False, windows=(None, None, None))
    network, (x, present) = made(config), batch(config)
    plain = UNet(UNetConfig(widths=TINY.widths)).eval()
    weights = {
        n.replace("encoder.together.", "encoder."): t for n, t in network.state_dict().items() if ".apart." not in n
    }
    plain.load_state_dict(weights)
    assert torch.equal(network(x, present), plain(x, present))


def test_doubt_matters_only_where_the_network_is_guided():
    network, (x, present) = made(TINY), batch(TINY)
    surer = x.clone()
    surer[:, 4] = 0.0
    assert not torch.allclose(network(x, present), network(surer, present))
    more = x.clone()
    more[:, 5] = 1.0 - more[:, 5]  # the doubt of the primary one of itself: nobody asks it
    assert torch.equal(network(x, present), network(more, present))
    more[:, 6] = 1.0 - more[:, 6]
    assert not torch.allclose(network(x, present), network(more, present))


def test_it_says_to_whom_it_listens():
    network, (x, present) = made(TINY), batch(TINY)
    present[:, 1] = 0.0
    shares = network.attention_weights(x, present)
    assert {level: tuple(s.shape) for level, s in shares.items()} == {
        0: (2, 3, 8, 8, 8),
        1: (2, 3, 4, 4, 4),
        2: (2, 3, 2, 2, 2),
    }
    assert TINY.others == ("adc", "b0", "flair")
    for share in shares.values():
        assert torch.allclose(share.sum(1), torch.ones(()), atol=1e-5)
        assert share[:, 0].abs().max() == 0


def test_encoders_share_their_convolutions_or_not():
    shared, apart = (sum(p.numel() for p in made(KINDS[k]).encoder.single.parameters()) for k in ("guided", "apart"))
    assert apart > 3 * shared


def test_a_config_comes_back_from_plain_values():
    assert CrossModalConfig.from_json(TINY.as_json()) == TINY
    assert isinstance(network_of(ARCHITECTURES["crossmodal"][0].from_json(TINY.as_json())), CrossModal)
    for wrong in ({"windows": (1,)}, {"primary": "tof"}, {"heads": 3}, {"slim": 3}, {"dropout": (0.1, 0.1, 0.1)}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            replace(TINY, **wrong)


def test_the_late_average_is_the_mean_of_what_each_modality_says_alone():
    torch.manual_seed(0)
    config = UNetConfig(widths=(4, 8), modalities=("dwi", "adc"))
    late, alone = LateAverage(config).eval(), UNet(config).eval()
    alone.load_state_dict(late.state_dict())
    x, present = torch.randn(1, 2, 8, 8, 8), torch.ones(1, 2)
    told = torch.eye(2)
    each = [alone(x * told[m].view(1, 2, 1, 1, 1), told[m : m + 1]).sigmoid() for m in (0, 1)]
    assert torch.allclose(late(x, present).sigmoid(), (each[0] + each[1]) / 2, atol=1e-5)
    assert torch.allclose(late(x, told[:1]).sigmoid(), each[0], atol=1e-5)
    masks = late.sample_dropout_masks(np.random.default_rng(0))
    assert late.first_stochastic_stage == "encoder"
    drawn = late(late.features_before("encoder", x, present), present, masks)
    assert not torch.allclose(drawn, late(x, present))
