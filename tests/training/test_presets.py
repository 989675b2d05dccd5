"""Presets: which options combine, the networks and configs they give, and the requirements of their trainings."""

from itertools import product
from typing import get_args

import pytest

from adumbra.core.errors import InputRejected
from adumbra.networks.crossmodal import CrossModalConfig
from adumbra.networks.registry import architecture_of, network_of
from adumbra.networks.unet_config import UNetConfig
from adumbra.training import plan
from adumbra.training.config import DataConfig, GuidanceConfig, RuntimeConfig, default_network, network_for
from adumbra.training.options import Backbone, Fusion
from adumbra.training.plan import planned
from adumbra.training.presets import TrainingPreset, config_for, network_of_preset, windows_for

REFUSED = {("crossmodal", "early"), ("crossmodal", "late"), ("diffusion", "late")}
REFUSED |= {("strided-unet", fusion) for fusion in get_args(Fusion) if fusion != "early"}


def test_all_other_backbones_and_fusions_combine():
    for backbone, fusion in product(get_args(Backbone), get_args(Fusion)):
        if (backbone, fusion) in REFUSED:
            with pytest.raises(InputRejected, match="fusion"):
                TrainingPreset(backbone, fusion)
            continue
        config = config_for(TrainingPreset(backbone, fusion), "thrombus")
        assert config.network.modalities == ("swi", "phase", "tof", "dwi")
        assert (
            config.uses_uncertainty
            == (config.guidance.guide != "none")
            == (fusion in ("constant", "shuffled", "uncertainty", "oracle"))
        )
        assert network_of(config.network).config == config.network


def test_presets_give_the_named_architectures():
    named = {
        ("unet", "early"): "unet",
        ("strided-unet", "early"): "strided-unet",
        ("unet", "late"): "late-average",
        ("unet", "uncertainty"): "crossmodal",
        ("crossmodal", "attention"): "crossmodal",
        ("diffusion", "early"): "mask-denoiser",
    }
    for (backbone, fusion), architecture in named.items():
        assert architecture_of(config_for(TrainingPreset(backbone, fusion), "lesion").network) == architecture
    primary = {b: config_for(TrainingPreset(b, "attention"), "lesion").network.primary for b in ("unet", "crossmodal")}
    assert primary == {"unet": None, "crossmodal": "dwi"}


def test_blur_and_uncertainty_loss_need_a_first_pass():
    config = config_for(TrainingPreset(regulariser="joint", blur="focused", regulariser_weight=0.2), "lesion")
    joint = config.loss.regulariser
    assert (config.guidance.guide, joint.weight, joint.pretrain_share) == ("uncertainty", 0.2, 0.0)
    config = config_for(TrainingPreset(regulariser="pretrain"), "lesion")
    pretrained = config.loss.regulariser
    assert (config.guidance.guide, pretrained.weight, pretrained.blur.kind) == ("none", 0.0, "none")
    assert pretrained.pretrain_share > 0
    assert config_for(TrainingPreset(uncertainty_loss="smoothed"), "lesion").guidance.guide == "uncertainty"
    with pytest.raises(InputRejected, match="blur"):
        TrainingPreset(blur="focused")


def test_attention_windows_for_any_depth():
    assert windows_for(5) == (None, 1, 4, 0, None)
    assert windows_for(4) == (None, 1, 4, 0)
    assert windows_for(2) == (4, 0)
    network = network_of_preset(TrainingPreset("crossmodal", "uncertainty"), UNetConfig(widths=(4, 8)))
    assert network.windows == (4, 0)


def test_posteriors_that_a_network_does_not_support_are_refused():
    for preset, posterior in (
        (TrainingPreset("crossmodal", "attention"), "variational"),
        (TrainingPreset("diffusion"), "swag"),
    ):
        with pytest.raises(InputRejected, match="posterior"):
            network_for(posterior, config_for(preset, "lesion").network)


@pytest.mark.parametrize("whole", [False, True])
def test_memory_is_extrapolated_to_a_larger_patch(tiny_config, whole):
    """Extrapolated from small patches, against a step that is run."""
    network = CrossModalConfig(
        modalities=("dwi", "adc"), widths=(4, 8, 8), windows=(1, 4, 0 if whole else None), guided=True
    )
    config, double = (
        tiny_config(network=network, guidance=GuidanceConfig("uncertainty"), patch=32, batch=b) for b in (1, 2)
    )
    assert plan._activation_bytes(config) == pytest.approx(plan._counted_bytes(config), rel=0.02)
    assert plan._activation_bytes(double) == pytest.approx(2 * plan._activation_bytes(config), rel=1e-3)


def test_a_plan_counts_parameters_memory_and_steps(tiny_config):
    network = UNetConfig(widths=(4, 8))
    config = config_for(
        TrainingPreset(regulariser="joint", blur="focused"),
        "lesion",
        network=network,
        data=DataConfig(batch=2, patch=16, held_out=3),
        runtime=RuntimeConfig(threads=1, precision="f32"),
    )
    requirements = planned(config, cases=12)
    assert requirements.parameters == sum(p.numel() for p in network_of(network).parameters())
    assert requirements.steps_an_epoch == 5  # 9 cases, two in a step
    assert requirements.denoiser > 0
    assert 0 < requirements.memory_gb < 1
    assert requirements.seconds_an_epoch == 5 * requirements.seconds_a_step > 0


def test_a_preset_takes_spacing_and_channels_of_its_target():
    config = config_for(TrainingPreset(), "thrombus", data=DataConfig(spacing_mm=3.0, patch=96))
    assert (config.data.spacing_mm, config.data.patch, config.loss.hard_voxel_fraction) == (1.0, 96, 0.001)
    assert config.network == default_network("thrombus")
    with pytest.raises(KeyError, match="hypoperfusion"):
        config_for(TrainingPreset(), "hypoperfusion")
