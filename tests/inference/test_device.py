"""The device of a network."""

import pytest
import torch

from adumbra.core.errors import InputRejected
from adumbra.inference.device import select_device


def test_auto_takes_what_there_is():
    assert select_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert select_device("cpu").type == "cpu"


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputRejected, match="choose cpu or auto"):
        select_device("cuda")
