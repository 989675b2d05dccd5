import subprocess
import sys

import pytest
import torch

from adumbra.core.errors import OutputRefused, UnreadableFile
from adumbra.training.checkpoint import Checkpoint, locked, read_checkpoint, write_checkpoint

IDENTITY = {"steps": 10, "network": {"widths": (4, 8)}, "data": "2 cases, abc"}


def write(folder, step=3):
    tensors = {"weights/a": torch.arange(4.0), "step/a": torch.tensor(3.0)}
    write_checkpoint(folder, Checkpoint(step, IDENTITY, 12.5, tensors))


def test_a_checkpoint_comes_back_bit_by_bit(tmp_path):
    write(tmp_path)
    read = read_checkpoint(tmp_path, IDENTITY)
    assert (read.step, read.seconds) == (3, 12.5)
    assert torch.equal(read.tensors["weights/a"], torch.arange(4.0))
    assert read.tensors["step/a"].shape == ()


def test_no_checkpoint_is_none(tmp_path):
    assert read_checkpoint(tmp_path, IDENTITY) is None


def test_the_newest_replaces_the_former_and_leaves_nothing_beside(tmp_path):
    write(tmp_path, 3)
    write(tmp_path, 5)
    assert read_checkpoint(tmp_path, IDENTITY).step == 5
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_another_training_is_refused_by_the_name_of_what_differs(tmp_path):
    write(tmp_path)
    with pytest.raises(OutputRefused, match=r"steps = 10.*\n.*steps = 20"):
        read_checkpoint(tmp_path, IDENTITY | {"steps": 20})
    with pytest.raises(OutputRefused, match="3 cases"):
        read_checkpoint(tmp_path, IDENTITY | {"data": "3 cases, abc"})


def test_a_damaged_checkpoint_is_told(tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"nothing of the kind")
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


def test_one_process_at_a_time_and_a_dead_ones_lock_is_free(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(OutputRefused, match=f"process {other.pid}"), locked(tmp_path):
            pass
        other.kill()
        other.wait(30)
        with locked(tmp_path):
            pass
