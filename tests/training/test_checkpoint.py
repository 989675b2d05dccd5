import subprocess
import sys

import pytest
import torch

from adumbra.core.errors import OutputRefused, UnreadableFile
from adumbra.training.checkpoint import Checkpoint, locked, read_checkpoint, write_checkpoint

IDENTITY = {"optimiser": {"steps": 10}, "network": {"widths": (4, 8)}, "cases": "2 cases, abc"}


def write(folder, step=3):
    tensors = {"weights/a": torch.arange(4.0), "step/a": torch.tensor(3.0)}
    write_checkpoint(folder, Checkpoint(step, IDENTITY, 12.5, tensors))


def test_a_checkpoint_comes_back_bit_by_bit(tmp_path):
    write(tmp_path)
    checkpoint = read_checkpoint(tmp_path, IDENTITY)
    assert (checkpoint.step, checkpoint.seconds) == (3, 12.5)
    assert torch.equal(checkpoint.tensors["weights/a"], torch.arange(4.0))
    assert checkpoint.tensors["step/a"].shape == ()


def test_no_checkpoint_is_none(tmp_path):
    assert read_checkpoint(tmp_path, IDENTITY) is None


def test_a_new_checkpoint_replaces_the_previous_one(tmp_path):
    write(tmp_path, 3)
    write(tmp_path, 5)
    assert read_checkpoint(tmp_path, IDENTITY).step == 5
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_another_training_is_refused_and_the_difference_named(tmp_path):
    write(tmp_path)
    with pytest.raises(OutputRefused, match=r"steps = 10.*\n.*steps = 20"):
        read_checkpoint(tmp_path, IDENTITY | {"optimiser": {"steps": 20, "warmup": 5}})
    with pytest.raises(OutputRefused, match="3 cases"):
        read_checkpoint(tmp_path, IDENTITY | {"cases": "3 cases, abc"})


def test_a_damaged_checkpoint_is_reported(tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(UnreadableFile, match="checkpoint"):
        read_checkpoint(tmp_path, IDENTITY)


HOLD = """
import sys, time
from pathlib import Path
from adumbra.training.checkpoint import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_process_holds_a_folder_until_it_ends(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(OutputRefused, match=f"process {other.pid}"), locked(tmp_path):
            pass
        other.kill()
        other.wait(30)
        with locked(tmp_path):
            pass
