"""Trainings that version 0.1.0 interrupted are resumed to the weights that it would have reached."""

import hashlib
import json
import shutil
from dataclasses import asdict, replace

import pytest
import torch
from safetensors import safe_open

from adumbra.core.legacy import checkpoint_identity
from adumbra.diffusion.regulariser import BlurConfig, RegulariserConfig
from adumbra.networks.crossmodal import CrossModalConfig
from adumbra.networks.unet_config import UNetConfig
from adumbra.training.cache import cache_cases
from adumbra.training.checkpoint import read_checkpoint
from adumbra.training.config import DataConfig, GuidanceConfig, LossConfig, OptimiserConfig, RuntimeConfig, TrainConfig
from adumbra.training.loop import train
from training.blobs import BlobRef

TWO = ("dwi", "adc")
PLAIN = TrainConfig(
    network=UNetConfig(TWO, widths=(2, 4), dropout=0.1),
    data=DataConfig(batch=2, patch=8, spacing_mm=5.0, held_out=1),
    optimiser=OptimiserConfig(steps=4, learning_rate=1e-2, warmup=2, ema_decay=0.9),
    runtime=RuntimeConfig(precision="f32", threads=1, workers=1, checkpoint_every=2, validate_every=100),
)
CONFIGS = {
    "training": PLAIN,
    "training-guided": replace(
        PLAIN,
        network=CrossModalConfig(TWO, widths=(2, 4), dropout=0.1, windows=(1, 2), guided=True),
        data=replace(PLAIN.data, missing_ramp=0.5),
        loss=LossConfig(
            uncertainty_loss="weighted",
            regulariser=RegulariserConfig(weight=0.1, pretrain_share=0.25, blur=BlurConfig("focused", 4.0)),
        ),
        guidance=GuidanceConfig("uncertainty", folds=2, steps=3, draws=2),
    ),
    "training-swag": replace(
        PLAIN,
        network=UNetConfig(TWO, widths=(2, 2), dropout=0.1),
        optimiser=replace(PLAIN.optimiser, steps=44),
        posterior="swag",
        runtime=replace(PLAIN.runtime, checkpoint_every=35),
    ),
}


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def old_training(project_root, tmp_path):
    def copy(name):
        source, folder = project_root / "tests" / "core" / "legacy_files" / name, tmp_path / name
        shutil.copytree(source, folder)
        return folder, json.loads((source / "training-result.json").read_text("utf-8"))

    return copy


def sha256_of_values(path):
    """A hash of all tensors of a file that does not depend on their names."""
    with safe_open(path, framework="pt") as file:
        hashes = [hashlib.sha256(file.get_tensor(k).numpy().tobytes()).hexdigest() for k in file.keys()]  # noqa: SIM118
    return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()


def times(folder, names):
    return {name: (folder / name).stat().st_mtime_ns for name in names}


@pytest.mark.parametrize("name", CONFIGS)
def test_an_old_training_is_resumed_to_the_same_weights(name, old_training, one_thread):
    folder, expected = old_training(name)
    untouched = times(folder, expected["not_made_again"])
    cases = [BlobRef(number) for number in range(len(expected["cases"]))]
    result = train(cases, folder, CONFIGS[name])
    assert sha256_of_values(result.weights) == expected["weights"]["sha256_of_values"]
    if expected["first"]:
        first_pass = folder / "weights.first.safetensors"
        assert sha256_of_values(first_pass) == expected["first"]["sha256_of_values"]
    scores = asdict(result.scores)
    assert scores.pop("cases") == pytest.approx(expected["scores"].pop("cases"))
    assert scores == pytest.approx(expected["scores"])
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines] == expected["log_steps"]
    assert lines[-2] == expected["log_last"][0]
    assert times(folder, expected["not_made_again"]) == untouched, "cache, first pass and maps are recognised"


def test_an_old_identity_has_every_option_of_today(old_training):
    for name, config in CONFIGS.items():
        _, expected = old_training(name)
        stored = checkpoint_identity(expected["train_config"])
        runtime = {"precision", "device", "threads", "workers", "first", "checkpoint_every", "validate_every"}
        options = {key: value for key, value in stored.items() if key not in runtime}
        assert options == json.loads(json.dumps(config.identity()))


def test_an_identity_of_today_and_an_incomplete_one_are_read():
    identity = json.loads(json.dumps(PLAIN.identity())) | {"cases": "3 cases, ab", "content": "cd"}
    assert checkpoint_identity(identity) == identity
    assert checkpoint_identity({}) == {}
    assert checkpoint_identity({"steps": 4, "average": 0.9, "data": "3 cases, ab"}) == {
        "optimiser": {"steps": 4, "ema_decay": 0.9}, "cases": "3 cases, ab",
    }  # fmt: skip
    assert checkpoint_identity({"posterior": "point", "cross": {"draws": 2}}) == {
        "posterior": "deterministic", "guidance": {"draws": 2},
    }  # fmt: skip


def test_tensors_of_an_old_checkpoint_have_the_names_of_today(old_training):
    folder, expected = old_training("training-guided")
    identity = checkpoint_identity(expected["train_config"])
    tensors = read_checkpoint(folder, CONFIGS["training-guided"].identity() | _hashes(folder)).tensors
    assert len(tensors) == expected["checkpoint_keys"]["count"]
    assert not [key for key in tensors if ".apart." in key or ".told." in key]
    assert identity["optimiser"]["ema_decay"] == 0.9


def _hashes(folder):
    with safe_open(folder / "checkpoint.safetensors", framework="pt") as file:
        identity = json.loads(file.metadata()["state"])["identity"]
    return {"cases": identity["data"], "content": identity["content"]}


def test_old_cache_files_are_recognised(old_training):
    folder, expected = old_training("training")
    before = times(folder, expected["not_made_again"])
    cache_cases([BlobRef(number) for number in range(3)], folder / "cache", PLAIN.cache)
    assert times(folder, expected["not_made_again"]) == before
