import numpy as np
import pytest
import torch

from adumbra.networks.blocks import ConditionedNorm
from adumbra.networks.registry import architecture_of, network_of
from adumbra.networks.strided import StridedUNetConfig

TINY = StridedUNetConfig(widths=(4, 8, 8), dropout=0.3)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = network_of(TINY)
    for parameter in network.parameters():
        if parameter.ndim == 5:
            torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


def batch(side=16, samples=2):
    torch.manual_seed(1)
    return torch.randn(samples, 4, side, side, side), torch.ones(samples, 4)


def test_the_config_belongs_to_its_architecture_and_survives_the_card():
    assert architecture_of(TINY) == "strided-unet"
    assert StridedUNetConfig.from_json(TINY.as_json()) == TINY


def test_the_usual_network_fits_into_four_megabytes_of_float16():
    parameters = sum(p.numel() for p in network_of(StridedUNetConfig()).parameters())
    assert 2 * parameters < 4e6


@pytest.mark.parametrize("side", [8, 12, 20])
def test_the_output_has_full_resolution(network, side):
    assert network(*batch(side)).shape == (2, 1, side, side, side)


def test_every_stage_leads_to_the_same_logits(network):
    x, present = batch()
    whole = network(x, present)
    for stage in ("encoder", "decoder", "head"):
        features = network.features_before(stage, x, present)
        assert torch.allclose(network(features, present, stage=stage), whole, atol=1e-5)


def test_the_samples_of_a_batch_do_not_influence_each_other(network):
    x, present = batch()
    assert torch.allclose(network(x, present)[1:], network(x[1:], present[1:]), atol=1e-4)


def test_the_output_depends_on_single_voxels(network):
    """The full resolution is not lost in the strided stem."""
    x, present = batch()
    changed = x.clone()
    changed[0, 0, 8, 8, 8] += 5.0
    difference = (network(changed, present) - network(x, present))[0, 0].abs()
    assert difference[8, 8, 8] > 2 * difference[8, 8, 11]


def test_dropout_masks_act_at_every_site(network):
    x, present = batch()
    masks = network.sample_dropout_masks(np.random.default_rng(0))
    ones = tuple(torch.ones_like(mask) for mask in masks)
    *_, deepest, above, finest = range(len(masks))
    assert (len(masks[deepest]), len(masks[above]), len(masks[finest])) == (8, 8, 4)
    for site in (deepest, above):  # the rates of the other sites are 0
        one_off = tuple(torch.zeros_like(m) if n == site else m for n, m in enumerate(ones))
        assert not torch.allclose(network(x, present, one_off), network(x, present, ones))


def test_normalisation_is_the_same_in_both_memory_formats():
    torch.manual_seed(0)
    norm = ConditionedNorm(6, 4)
    for parameter in norm.parameters():
        torch.nn.init.normal_(parameter)
    x, condition = torch.randn(3, 6, 4, 5, 6), torch.randn(3, 4)
    last = x.contiguous(memory_format=torch.channels_last_3d)
    assert torch.allclose(norm(last, condition), norm(x, condition), atol=1e-5)


def test_one_level_is_refused():
    with pytest.raises(ValueError, match="two levels"):
        StridedUNetConfig(widths=(8,))
