import hashlib
import pickle

import pytest
import torch
from safetensors.torch import save_file

from adumbra.core.errors import OutputRefused, WeightsRejected
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import load_into, read_weights, save_weights

CONFIG = UNetConfig(widths=(4, 8))
FACTS = {
    "architecture": "unet",
    "config": CONFIG.as_json(),
    "spacing_mm": 2.0,
    "patch": 64,
    "threshold": 0.5,
    "training": {"seed": 1},
}


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_weights(path, UNet(CONFIG).state_dict(), FACTS)
    return path


def test_weights_are_restored_in_float16_precision_with_their_card(file):
    torch.manual_seed(0)
    before = UNet(CONFIG).state_dict()
    tensors, card = read_weights(file)
    assert tensors.keys() == before.keys()
    assert all(torch.equal(tensors[k], before[k].half().float()) for k in before)
    assert (card.name, card.spacing_mm, card.patch, card.threshold) == ("weights", 2.0, 64, 0.5)
    assert card.config == CONFIG.as_json()
    assert card.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_same_weights_give_the_same_bytes(file, tmp_path):
    torch.manual_seed(0)
    again = save_weights(tmp_path / "again.safetensors", UNet(CONFIG).state_dict(), FACTS)
    assert again == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_pickle_is_refused_and_never_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    path = tmp_path / "weights.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(WeightsRejected, match="pickle"):
        read_weights(path)
    assert not (tmp_path / "ran").exists()


def test_a_torch_archive_is_refused(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "weights.pt")
    with pytest.raises(WeightsRejected, match="pickle"):
        read_weights(tmp_path / "weights.pt")


def test_altered_truncated_foreign_and_absent_files_are_refused(file, tmp_path):
    with pytest.raises(WeightsRejected, match="sha256"):
        read_weights(file, sha256="0" * 64)
    (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WeightsRejected, match="damaged"):
        read_weights(tmp_path / "cut.safetensors")
    save_file({"a": torch.ones(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsRejected, match="written by adumbra"):
        read_weights(tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsRejected, match="No such file"):
        read_weights(tmp_path / "absent.safetensors")


def test_another_architectures_tensors_are_refused(file):
    tensors, _ = read_weights(file)
    with pytest.raises(WeightsRejected, match="tensors of the architecture"):
        load_into(UNet(UNetConfig(widths=(4, 8, 8))), tensors, file)


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(OutputRefused):
        save_weights(tmp_path / "absent" / "w.safetensors", {}, FACTS)
    (tmp_path / "w.safetensors").mkdir()
    with pytest.raises(OutputRefused):
        save_weights(tmp_path / "w.safetensors", {}, FACTS)
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_card_must_be_complete(tmp_path):
    with pytest.raises(ValueError, match="threshold"):
        save_weights(tmp_path / "w.safetensors", {}, {k: v for k, v in FACTS.items() if k != "threshold"})
