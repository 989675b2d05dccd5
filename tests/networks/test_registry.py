from dataclasses import replace
from importlib import resources

import pytest
import torch

from adumbra.core.errors import WeightsRejected
from adumbra.networks.crossmodal import CrossModalConfig, LateAverageConfig
from adumbra.networks.denoiser import MaskDenoiserConfig
from adumbra.networks.registry import RELEASED, load, network_of, transferred_weights
from adumbra.networks.unet import UNet, UNetConfig
from adumbra.networks.weights import save_weights

CONFIG = UNetConfig(widths=(4, 8))


def saved(path, **changes):
    about = {"config": CONFIG.as_json(), "spacing_mm": 2.0, "patch": 64, "threshold": 0.5, "training": {}}
    save_weights(path, UNet(CONFIG).state_dict(), about | {"architecture": "unet"} | changes)
    return path


def test_a_file_gives_a_frozen_network_in_evaluation(tmp_path):
    loaded = load(saved(tmp_path / "w.safetensors"))
    assert loaded.network.config == CONFIG
    assert not loaded.network.training
    assert not any(p.requires_grad for p in loaded.network.parameters())
    assert next(loaded.network.parameters()).dtype == torch.float32


def test_unknown_names_and_architectures_are_refused(tmp_path):
    with pytest.raises(WeightsRejected, match="shipped weights"):
        load("lession")
    with pytest.raises(WeightsRejected, match="transformer"):
        load(saved(tmp_path / "w.safetensors", architecture="transformer"))


@pytest.mark.parametrize("name", RELEASED)
def test_the_shipped_weights_are_what_their_card_says(name):
    folder = resources.files("adumbra.networks") / "weights"
    assert (folder / f"{name}.md").is_file()
    assert len((folder / f"{name}.safetensors").read_bytes()) <= 10e6
    loaded = load(name)
    assert loaded.card.name == name
    assert loaded.card.spacing_mm == {"lesion": 2.0, "thrombus": 1.0}[name]
    assert loaded.network.config.targets == (name,)
    with torch.inference_mode():
        logits = loaded.network(torch.zeros(1, len(loaded.network.config.modalities), 32, 32, 32), torch.ones(1, 4))
    assert torch.isfinite(logits).all()


PLAIN = UNetConfig(modalities=("dwi", "adc"), widths=(4, 8))
SAME = {"modalities": ("dwi", "adc"), "widths": (4, 8)}


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        (PLAIN, {"encoder.blocks.0.conv1.weight", "decoder.bottom.conv1.weight"}),
        (replace(PLAIN, noise_rank=0), {"encoder.blocks.0.conv1.weight", "decoder.bottom.conv1.weight"}),
        (LateAverageConfig(**SAME), {"encoder.blocks.0.conv1.weight", "decoder.bottom.conv1.weight"}),
        (
            CrossModalConfig(**SAME, primary=None, windows=(1, 0), guided=True),
            {"encoder.together.blocks.0.conv1.weight", "decoder.bottom.conv1.weight"},
        ),
        (CrossModalConfig(**SAME, windows=(1, 0)), {"decoder.bottom.conv1.weight"}),
        (MaskDenoiserConfig(**SAME, windows=(None, None)), {"encoder.together.blocks.0.conv1.weight"}),
    ],
)
def test_a_training_goes_on_from_a_plain_unet(config, kept):
    """What both have is the plain one's; what is new is as it was."""
    torch.manual_seed(0)
    known, network = UNet(PLAIN).state_dict(), network_of(config)
    own = {n: t.clone() for n, t in network.state_dict().items()}
    begun = transferred_weights(known, network)
    assert begun.keys() == own.keys()
    for name in kept:
        assert torch.equal(begun[name], known[name.replace("together.", "")])
    same = [n for n in own if n not in known and n.replace("together.", "") not in known]
    assert all(torch.equal(begun[n], own[n]) for n in same)


def test_with_attention_it_begins_as_the_unet_that_it_goes_on_from():
    torch.manual_seed(0)
    plain, network = UNet(PLAIN), network_of(CrossModalConfig(**SAME, primary=None, windows=(1, 0), guided=True))
    network.load_state_dict(transferred_weights(plain.state_dict(), network))
    x, there = torch.rand(1, 5, 8, 8, 8), torch.ones(1, 2)
    assert torch.equal(network.eval()(x, there), plain.eval()(x[:, :2], there))


@pytest.mark.parametrize(
    "config", [replace(PLAIN, widths=(4, 16)), CrossModalConfig(("dwi", "adc"), widths=(4, 16), windows=(1, 0))]
)
def test_weights_that_do_not_fit_are_not_taken_in_parts(config):
    known = UNet(PLAIN).state_dict()
    assert transferred_weights(known, network_of(config)) == known
