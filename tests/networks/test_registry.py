from dataclasses import replace
from importlib import resources

import pytest
import torch

from adumbra.core.errors import WeightsRejected
from adumbra.core.options import InferenceConfig
from adumbra.networks.crossmodal import CrossModalConfig, LateAverageConfig
from adumbra.networks.denoiser import MaskDenoiserConfig
from adumbra.networks.registry import DEFAULT_WEIGHTS, RELEASED, SINGLE_WEIGHTS, load, network_of, transferred_weights
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import save_weights
from adumbra.segmentation_model import load_model

CONFIG = UNetConfig(widths=(4, 8))


def saved(path, **changes):
    facts = {"config": CONFIG.as_json(), "spacing_mm": 2.0, "patch": 64, "threshold": 0.5, "training": {}}
    save_weights(path, UNet(CONFIG).state_dict(), facts | {"architecture": "unet"} | changes)
    return path


def test_a_file_gives_a_frozen_network_in_evaluation(tmp_path):
    loaded = load(saved(tmp_path / "w.safetensors"))
    assert loaded.network.config == CONFIG
    assert not loaded.network.training
    assert not any(p.requires_grad for p in loaded.network.parameters())
    assert next(loaded.network.parameters()).dtype == torch.float32


def test_unknown_names_and_architectures_are_refused(tmp_path):
    with pytest.raises(WeightsRejected, match="released weights"):
        load("lession")
    with pytest.raises(WeightsRejected, match="transformer"):
        load(saved(tmp_path / "w.safetensors", architecture="transformer"))


@pytest.mark.parametrize("modalities", [["dwi", "t1"], ["DWI"], [3]])
def test_an_unknown_modality_on_the_card_is_refused(tmp_path, modalities):
    config = CONFIG.as_json() | {"modalities": modalities}
    with pytest.raises(WeightsRejected, match=str(modalities[-1])):
        load(saved(tmp_path / "w.safetensors", config=config))


def test_the_card_may_state_the_b_values_of_the_training(tmp_path):
    assert load(saved(tmp_path / "w.safetensors")).card.b_range is None
    stated = load(saved(tmp_path / "v.safetensors", training={"b_values": [800, 2500, 1000.0]}))
    assert stated.card.b_range == (800.0, 2500.0)


SPACING_MM = {"lesion": 2.0, "thrombus": 1.0, "thrombus-1": 1.0, "thrombus-2": 1.0, "thrombus-3": 1.0} | {
    f"lesion-{number}": spacing_mm for number, spacing_mm in enumerate((2.0, 1.5, 2.0, 2.0, 1.5), start=1)
}
STRUCTURES = ("arteries", "veins", "flow")
"""What the members of the thrombus ensemble segment beside the clot."""


def test_a_named_posterior_draws_from_one_network():
    members = load_model("lesion", InferenceConfig())
    assert [network.card.name for network in members.networks] == list(DEFAULT_WEIGHTS["lesion"])
    assert {network.card.threshold for network in members.networks} == {members.networks[0].card.threshold}
    assert members.calibration is not None
    assert members.calibration.weights == tuple(network.card.sha256 for network in members.networks)
    single = load_model("lesion", InferenceConfig(posterior="dropout"))
    assert [network.card.name for network in single.networks] == list(SINGLE_WEIGHTS["lesion"])


def test_the_members_of_the_thrombus_ensemble_have_one_pair_of_thresholds():
    cards = [load(name).card for name in DEFAULT_WEIGHTS["thrombus"]]
    assert len({(card.threshold, card.high_threshold) for card in cards}) == 1
    assert len({card.sha256 for card in cards}) == len(cards)


@pytest.mark.parametrize("name", RELEASED)
def test_the_released_weights_are_as_their_card_states(name):
    folder, target = resources.files("adumbra.networks") / "weights", name.split("-")[0]
    assert (folder / f"{target}.md").is_file()
    assert len((folder / f"{name}.safetensors").read_bytes()) <= 10e6
    loaded = load(name)
    assert loaded.card.name == name
    assert loaded.card.spacing_mm == SPACING_MM[name]
    assert loaded.network.config.targets == (target, *(STRUCTURES if name.startswith("thrombus-") else ()))
    with torch.inference_mode():
        config = loaded.network.config
        sides = torch.zeros(1, config.image_channels, 32, 32, 32)
        logits = loaded.network(sides, torch.ones(1, len(config.modalities)))
    assert torch.isfinite(logits).all()


PLAIN = UNetConfig(modalities=("dwi", "adc"), widths=(4, 8))
SAME = {"modalities": ("dwi", "adc"), "widths": (4, 8)}


@pytest.mark.parametrize(
    ("config", "transferred"),
    [
        (PLAIN, {"encoder.blocks.0.conv1.weight", "decoder.bottom.conv1.weight"}),
        (replace(PLAIN, noise_rank=0), {"encoder.blocks.0.conv1.weight", "decoder.bottom.conv1.weight"}),
        (LateAverageConfig(**SAME), {"encoder.blocks.0.conv1.weight", "decoder.bottom.conv1.weight"}),
        (
            CrossModalConfig(**SAME, primary=None, windows=(1, 0), guided=True),
            {"encoder.joint.blocks.0.conv1.weight", "decoder.bottom.conv1.weight"},
        ),
        (CrossModalConfig(**SAME, windows=(1, 0)), {"decoder.bottom.conv1.weight"}),
        (MaskDenoiserConfig(**SAME, windows=(None, None)), {"encoder.joint.blocks.0.conv1.weight"}),
    ],
)
def test_a_network_can_be_fine_tuned_from_a_plain_unet(config, transferred):
    """Parts that both have are those of the U-Net; new parts keep their initial weights."""
    torch.manual_seed(0)
    source, network = UNet(PLAIN).state_dict(), network_of(config)
    own = {n: t.clone() for n, t in network.state_dict().items()}
    initial = transferred_weights(source, network)
    assert initial.keys() == own.keys()
    for name in transferred:
        assert torch.equal(initial[name], source[name.replace("joint.", "")])
    same = [n for n in own if n not in source and n.replace("joint.", "") not in source]
    assert all(torch.equal(initial[n], own[n]) for n in same)


def test_an_untrained_attention_gives_the_output_of_the_unet_it_is_fine_tuned_from():
    torch.manual_seed(0)
    plain, network = UNet(PLAIN), network_of(CrossModalConfig(**SAME, primary=None, windows=(1, 0), guided=True))
    network.load_state_dict(transferred_weights(plain.state_dict(), network))
    x, present = torch.rand(1, 5, 8, 8, 8), torch.ones(1, 2)
    assert torch.equal(network.eval()(x, present), plain.eval()(x[:, :2], present))


@pytest.mark.parametrize(
    "config", [replace(PLAIN, widths=(4, 16)), CrossModalConfig(("dwi", "adc"), widths=(4, 16), windows=(1, 0))]
)
def test_weights_that_do_not_fit_are_not_transferred_in_part(config):
    source = UNet(PLAIN).state_dict()
    assert transferred_weights(source, network_of(config)) == source


def test_a_network_with_further_targets_keeps_the_rows_of_the_head():
    source = network_of(UNetConfig(("swi", "tof"), ("thrombus",), widths=(8, 8))).state_dict()
    network = network_of(UNetConfig(("swi", "tof"), ("thrombus", "arteries", "veins"), widths=(8, 8)))
    own = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    initial = transferred_weights(source, network)
    assert torch.equal(initial["decoder.head.weight"][:1], source["decoder.head.weight"])
    assert torch.equal(initial["decoder.head.weight"][1:], own["decoder.head.weight"][1:])
    network.load_state_dict(initial)


@pytest.mark.parametrize("targets", [(), ("arteries",), ("arteries", "thrombus")])
def test_structures_follow_their_target(targets):
    with pytest.raises(ValueError, match="targets"):
        UNetConfig(targets=targets)
    assert UNetConfig(targets=("thrombus", "arteries", "veins")).targets[0] == "thrombus"
