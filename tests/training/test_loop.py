import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError, safe_open

from adumbra.core.errors import InputRejected, OutputRefused
from adumbra.core.progress import quiet
from adumbra.networks.registry import load
from adumbra.training.cache import cache_cases
from adumbra.training.loop import sample_batch, train
from adumbra.training.patches import open_cached_case
from adumbra.training.validate import validate

SCRIPT = """
import sys
from pathlib import Path
from training.blobs import BlobRef, tiny
from adumbra.training.loop import train
train([BlobRef(n) for n in range(3)], Path(sys.argv[1]), tiny(steps=int(sys.argv[2]), held_out=0))
"""


def start_training(out, steps):
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(out), str(steps)], env=env)


def step_of(out):
    try:
        with safe_open(out / "checkpoint.safetensors", framework="pt") as file:
            return json.loads(file.metadata()["state"])["step"]
    except (OSError, SafetensorError):
        return 0


def test_a_killed_training_reaches_the_weights_of_one_that_was_not(tmp_path):
    steps = 40
    killed = start_training(tmp_path / "killed", steps)
    deadline = time.monotonic() + 120
    while step_of(tmp_path / "killed") < 4 and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    resumed_from = step_of(tmp_path / "killed")
    assert 4 <= resumed_from < steps, "the kill must fall between the first checkpoint and the end"
    assert not (tmp_path / "killed" / "weights.safetensors").exists()
    assert start_training(tmp_path / "killed", steps).wait() == 0
    assert start_training(tmp_path / "whole", steps).wait() == 0
    resumed, whole = ((tmp_path / n / "weights.safetensors") for n in ("killed", "whole"))
    tensors = [load(path).network.state_dict() for path in (resumed, whole)]
    assert all(torch.equal(tensors[0][key], tensors[1][key]) for key in tensors[0])
    logged = [json.loads(line)["step"] for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    assert logged == list(range(1, steps + 1))


def test_a_short_training_learns_to_segment_bright_balls(tmp_path, blob_refs, tiny_config):
    config = tiny_config(steps=80, batch=4, held_out=2, learning_rate=1e-2, ema_decay=0.9, warmup=5)
    trained = train(blob_refs(8), tmp_path, config)
    assert trained.scores.dice > 0.7
    assert set(trained.scores.cases) == {"sub-006", "sub-007"}
    losses = [json.loads(line).get("loss") for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    first, last = losses[:5], [loss for loss in losses if loss is not None][-5:]
    assert np.mean(last) < 0.5 * np.mean(first)


def test_the_validated_weights_are_the_stored_ones(tmp_path, blob_refs, tiny_config):
    config = tiny_config(steps=10)
    trained = train(blob_refs(3), tmp_path, config)
    loaded = load(trained.weights)
    held_out = (open_cached_case(tmp_path / "cache" / "sub-002.safetensors"),)
    assert validate(loaded.network, held_out, config) == trained.scores
    card = json.loads((tmp_path / "weights.json").read_text())
    assert card["sha256"] == trained.sha256 == loaded.card.sha256
    assert loaded.card.patch == 16
    assert loaded.card.training["results"]["cases"] == trained.scores.cases
    assert loaded.card.training["seed"] == 0


def test_a_finished_training_is_only_written_again(tmp_path, blob_refs, tiny_config):
    first = train(blob_refs(3), tmp_path, tiny_config(steps=4))
    before = load(first.weights).network.state_dict()
    again = load(train(blob_refs(3), tmp_path, tiny_config(steps=4)).weights).network.state_dict()
    assert all(torch.equal(before[key], again[key]) for key in before)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path, blob_refs, tiny_config):
    def weights(name, **changes):
        config = tiny_config(steps=3, held_out=0, precision="bf16", **changes)
        return load(train(blob_refs(2), tmp_path / name, config).weights).network.state_dict()

    one, same, other = weights("a"), weights("b"), weights("c", seed=1)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_another_training_in_the_folder_is_refused(tmp_path, blob_refs, tiny_config):
    train(blob_refs(2), tmp_path, tiny_config(steps=2))
    with pytest.raises(OutputRefused, match="learning_rate"):
        train(blob_refs(2), tmp_path, tiny_config(steps=2, learning_rate=0.5))
    with pytest.raises(OutputRefused, match="cases = 2 cases"):
        train(blob_refs(3), tmp_path, tiny_config(steps=2))
    train(blob_refs(2), tmp_path, tiny_config(steps=2, checkpoint_every=1))


def test_other_cases_under_the_same_names_are_refused(tmp_path, blob_refs, tiny_config):
    train(blob_refs(2), tmp_path, tiny_config(steps=2))
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(OutputRefused, match="content"):
        train(blob_refs(2, lesions=1), tmp_path, tiny_config(steps=2))


def test_training_may_start_from_given_weights(tmp_path, blob_refs, tiny_config):
    first = train(blob_refs(2), tmp_path / "a", tiny_config(steps=2))
    config = tiny_config(steps=1, initial=str(first.weights), learning_rate=1e-9)
    second = train(blob_refs(2), tmp_path / "b", config)
    before, after = (load(t.weights).network.state_dict() for t in (first, second))
    assert all(torch.allclose(before[key], after[key], atol=1e-4) for key in before)


def test_inconsistent_options_are_refused(tmp_path, blob_refs, tiny_config):
    with pytest.raises(InputRejected, match="held out"):
        train(blob_refs(1), tmp_path, tiny_config())
    with pytest.raises(InputRejected, match="multiple of 2"):
        train(blob_refs(2), tmp_path, tiny_config(patch=15))
    assert not list(tmp_path.iterdir())


def test_a_batch_depends_on_its_step_alone(tmp_path, blob_refs, tiny_config):
    config = tiny_config()
    cases = [open_cached_case(path) for path in cache_cases(blob_refs(3), tmp_path, config.cache, progress=quiet)]
    one, same, other = (sample_batch(cases, config, step) for step in (7, 7, 8))
    assert np.array_equal(one.channels, same.channels)
    assert not np.array_equal(one.channels, other.channels)
    assert one.channels.shape == (2, 2, 16, 16, 16)


class Counted:
    """Counts the items that it tracks."""

    def __init__(self):
        self.counts = {}

    def track(self, items, *, what, total=None):  # noqa: ARG002
        for item in items:
            yield item
            self.counts[what] = self.counts.get(what, 0) + 1


def test_progress_reports_cases_and_steps(tmp_path, blob_refs, tiny_config):
    counted = Counted()
    train(blob_refs(3), tmp_path, tiny_config(steps=2), progress=counted)
    assert counted.counts == {"Preparing cases": 3, "Training": 2}
