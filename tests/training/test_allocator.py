import sys

import pytest
import torch

from adumbra.inference.device import autocast, select_device
from adumbra.training.allocator import keep_freed_memory


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_the_allocator_takes_the_setting():
    assert keep_freed_memory()


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("f32", torch.float32)])
def test_the_precision_is_the_one_asked_for(precision, dtype):
    convolution = torch.nn.Conv3d(1, 1, 1)
    with autocast(precision, select_device("cpu")):
        assert convolution(torch.ones(1, 1, 2, 2, 2)).dtype == dtype
