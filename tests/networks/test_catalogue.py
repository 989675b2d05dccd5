from importlib import resources

import pytest
import torch

from adumbra.errors import WeightsRejected
from adumbra.networks.catalogue import SHIPPED, load
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


@pytest.mark.parametrize("name", SHIPPED)
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
