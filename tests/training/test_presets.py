"""Presets: what goes together, what becomes of it, and what a training of it will ask of the machine."""

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest

from adumbra.core.errors import InputRejected
from adumbra.networks.crossmodal import CrossModalConfig
from adumbra.networks.registry import architecture_of, network_of
from adumbra.networks.unet import UNetConfig
from adumbra.training import plan
from adumbra.training.config import network_for
from adumbra.training.plan import planned
from adumbra.training.presets import Backbone, Fusion, TrainingPreset, config_for, network_of_preset, windows_for

REFUSED = {("crossmodal", "early"), ("crossmodal", "late"), ("diffusion", "late")}


def test_all_backbones_and_fusions_but_three():
    for backbone, fusion in product(get_args(Backbone), get_args(Fusion)):
        if (backbone, fusion) in REFUSED:
            with pytest.raises(InputRejected, match="fusion"):
                TrainingPreset(backbone, fusion)
            continue
        config = config_for(TrainingPreset(backbone, fusion), "thrombus")
        assert config.network.modalities == ("swi", "phase", "tof", "dwi")
        assert (
            config.uses_uncertainty
            == (config.guide != "none")
            == (fusion in ("constant", "shuffled", "uncertainty", "oracle"))
        )
        assert network_of(config.network).config == config.network


def test_names_become_networks():
    named = {
        ("unet", "early"): "unet",
        ("unet", "late"): "late-average",
        ("unet", "uncertainty"): "crossmodal",
        ("crossmodal", "attention"): "crossmodal",
        ("diffusion", "early"): "mask-denoiser",
    }
    for (backbone, fusion), architecture in named.items():
        assert architecture_of(config_for(TrainingPreset(backbone, fusion), "lesion").network) == architecture
    primary = {b: config_for(TrainingPreset(b, "attention"), "lesion").network.primary for b in ("unet", "crossmodal")}
    assert primary == {"unet": None, "crossmodal": "dwi"}


def test_blur_and_softening_ask_for_a_first_reading():
    joint = config_for(TrainingPreset(regulariser="joint", blur="focused", weight=0.2), "lesion")
    assert (joint.guide, joint.regulariser.weight, joint.regulariser.pretrain_share) == ("uncertainty", 0.2, 0.0)
    pretrain_share = config_for(TrainingPreset(regulariser="pretrain"), "lesion")
    assert (pretrain_share.guide, pretrain_share.regulariser.weight, pretrain_share.regulariser.blur.kind) == (
        "none",
        0.0,
        "none",
    )
    assert pretrain_share.regulariser.pretrain_share > 0
    assert config_for(TrainingPreset(uncertainty_loss="smoothed"), "lesion").guide == "uncertainty"
    with pytest.raises(InputRejected, match="blur"):
        TrainingPreset(blur="focused")


def test_windows_for_any_depth():
    assert windows_for(5) == (None, 1, 4, 0, None)
    assert windows_for(4) == (None, 1, 4, 0)
    assert windows_for(2) == (4, 0)
    network = network_of_preset(TrainingPreset("crossmodal", "uncertainty"), UNetConfig(widths=(4, 8)))
    assert network.windows == (4, 0)


def test_posteriors_that_a_network_cannot_have_are_refused():
    for preset, posterior in (
        (TrainingPreset("crossmodal", "attention"), "variational"),
        (TrainingPreset("diffusion"), "swag"),
    ):
        with pytest.raises(InputRejected, match="posterior"):
            network_for(posterior, config_for(preset, "lesion").network)


@pytest.mark.parametrize("whole", [False, True])
def test_memory_is_that_of_a_larger_patch(tiny_config, whole):
    """Counted in small patches and scaled, beside a step that is made."""
    network = CrossModalConfig(
        modalities=("dwi", "adc"), widths=(4, 8, 8), windows=(1, 4, 0 if whole else None), guided=True
    )
    config = tiny_config(network=network, guide="uncertainty", patch=32, batch=1)
    assert plan._kept_bytes(config) == pytest.approx(plan._counted(config), rel=0.02)
    assert plan._kept_bytes(replace(config, batch=2)) == pytest.approx(2 * plan._kept_bytes(config), rel=1e-3)


def test_a_plan_counts(tiny_config):
    network = UNetConfig(widths=(4, 8))
    config = config_for(
        TrainingPreset(regulariser="joint", blur="focused"),
        "lesion",
        network=network,
        batch=2,
        patch=16,
        held_out=3,
        threads=1,
        precision="f32",
    )
    found = planned(config, cases=12)
    assert found.parameters == sum(p.numel() for p in network_of(network).parameters())
    assert found.steps_an_epoch == 5  # 9 cases, two in a step
    assert found.denoiser > 0
    assert 0 < found.memory_gb < 1
    assert found.seconds_an_epoch == 5 * found.seconds_a_step > 0
