"""Normalisation and activation of a training step: separate kernels beside one that ``torch.compile`` fuses.

Each row is the least CPU time of four passes forward and backward, in milliseconds, for a bfloat16 tensor of a batch of
four. The fused function computes what ``blocks.ConditionedNorm`` and the leaky ReLU compute, in float32 inside. A C++
compiler is needed. The last lines are the shares of a training step that both networks spend in normalisation and
activation, which bound the gain of any fusion.

Run: ``python benchmarks/fused_norm.py`` with ``OMP_NUM_THREADS=1``.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from adumbra.networks.blocks import SLOPE, ConditionedNorm
from adumbra.networks.strided import StridedUNetConfig
from adumbra.networks.unet_config import UNetConfig
from adumbra.training.allocator import keep_freed_memory
from adumbra.training.config import TrainConfig
from adumbra.training.patches import Patches
from adumbra.training.state import State

SHAPES = ((16, 48), (32, 24), (64, 12))
BATCH, CONDITIONS, PASSES = 4, 4, 4
COUNTED = ("batch_norm", "leaky_relu")


def separate(x: Tensor, norm: ConditionedNorm, condition: Tensor) -> Tensor:
    """As the networks compute it."""
    return F.leaky_relu(norm(x, condition), SLOPE, inplace=True)


def _normalised(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    values = x.float()
    centred = values - values.mean((2, 3, 4), keepdim=True)
    scale = torch.rsqrt((centred**2).mean((2, 3, 4), keepdim=True) + 1e-5)
    y = centred * scale * gain[:, :, None, None, None] + shift[:, :, None, None, None]
    return torch.where(y > 0, y, y * SLOPE).to(x.dtype)


_compiled = torch.compile(_normalised, dynamic=False)


def fused(x: Tensor, norm: ConditionedNorm, condition: Tensor) -> Tensor:
    """The same in one compiled function."""
    assert norm.modulation is not None
    scale, offset = (condition @ norm.modulation).chunk(2, dim=1)
    result: Tensor = _compiled(x, norm.gain * (1.0 + scale), norm.shift + offset)
    return result


def least_ms(function: Callable[..., Tensor], x: Tensor, norm: ConditionedNorm, condition: Tensor) -> float:
    """The least CPU time of a pass forward and backward, in milliseconds."""
    times = []
    for _ in range(PASSES):
        leaf = x.clone().requires_grad_()
        start = time.process_time()
        y = function(leaf, norm, condition)
        y.backward(torch.ones_like(y))
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def shares(config: TrainConfig) -> dict[str, float]:
    """Shares of the CPU time of a training step in operations whose names contain a word of ``COUNTED``."""
    rng, data = np.random.default_rng(0), config.data
    shape = (data.batch, len(config.network.modalities), *[data.patch] * 3)
    one = (data.batch, 1, *shape[2:])
    labels, ones = (rng.random(one) < 0.01).astype(np.float32), np.ones(one, np.float32)
    images, present = rng.normal(size=shape).astype(np.float32), np.ones(shape[:2], np.float32)
    batch = Patches(images, present, labels, ones, ones, np.zeros((data.batch, 0, *shape[2:]), np.float32))
    state = State(config, torch.device("cpu"))
    state.step(0, batch)
    with profile(activities=[ProfilerActivity.CPU]) as record:
        state.step(1, batch)
    events = record.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    return {word: sum(event.self_cpu_time_total for event in events if word in event.key) / total for word in COUNTED}


def main() -> None:
    """Prints the times and the shares."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_freed_memory()
    print("channels  side  channels-last  separate ms  fused ms")
    for channels, side in SHAPES:
        norm, condition = ConditionedNorm(channels, CONDITIONS), torch.ones(BATCH, CONDITIONS)
        for last in (False, True):
            x = torch.randn(BATCH, channels, side, side, side, dtype=torch.bfloat16)
            x = x.contiguous(memory_format=torch.channels_last_3d) if last else x
            times = [least_ms(function, x, norm, condition) for function in (separate, fused)]
            print(f"{channels:8d}  {side:4d}  {last!s:13}  {times[0]:11.1f}  {times[1]:8.1f}")
    for name, network in {"plain U-Net": UNetConfig(), "strided U-Net": StridedUNetConfig()}.items():
        parts = shares(replace(TrainConfig(), network=network))
        print(f"{name}: " + ", ".join(f"{word} {share:.1%}" for word, share in parts.items()))


if __name__ == "__main__":
    main()
