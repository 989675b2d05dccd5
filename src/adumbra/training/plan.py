"""Requirements of a training before it starts: parameters, memory, time.

Memory is computed, so that it can be estimated for a GPU that is not there: steps of small patches are run, the tensors
that autograd keeps for the backward pass are summed, and the sum is extrapolated to the requested patch. Time is
measured on this machine, also for a small patch, and scaled by the volume.
"""

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from adumbra.inference.device import autocast, select_device
from adumbra.networks.denoiser import ImageDenoiser
from adumbra.networks.registry import architecture_of, network_of
from adumbra.training.component_regions import with_regions
from adumbra.training.config import TrainConfig
from adumbra.training.objective import Batch, regulariser_loss, segmentation_loss
from adumbra.training.patches import Patches
from adumbra.training.state import State

_TIMED_SIDE = 48  # Largest side of a patch whose step a laptop does in seconds.
_COPIES = 5  # Of each parameter, float32: weight, gradient, two moments, moving average.


@dataclass(frozen=True)
class Plan:
    """Requirements of a training.

    Attributes:
        architecture: Name of the architecture.
        parameters: Number of parameters of the network.
        denoiser: Number of parameters of the regulariser; 0 without one.
        memory_gb: Peak memory of a step, in GB: parameters with their copies, the tensors kept for the backward pass,
            and twice the largest of these. Workspaces of convolutions add some per cent.
        seconds_a_step: Time of a step on this machine, in seconds.
        steps_an_epoch: Number of steps that show as many patches as there are training cases.
    """

    architecture: str
    parameters: int
    denoiser: int
    memory_gb: float
    seconds_a_step: float
    steps_an_epoch: int

    @property
    def seconds_an_epoch(self) -> float:
        """Time of an epoch on this machine, in seconds."""
        return self.seconds_a_step * self.steps_an_epoch


def planned(config: TrainConfig, *, cases: int) -> Plan:
    """The requirements of a training on a number of cases."""
    network = network_of(config.network)
    beside = ImageDenoiser(config.network) if config.loss.regulariser else None
    own, other = (sum(p.numel() for p in m.parameters()) if m else 0 for m in (network, beside))
    gb = (4.0 * _COPIES * (own + other) + _activation_bytes(config)) / 1e9
    steps = max(1, -(-(cases - config.data.held_out) // config.data.batch))
    return Plan(architecture_of(config.network), own, other, gb, _seconds(config), steps)


def _activation_bytes(config: TrainConfig) -> float:
    """Bytes that autograd keeps of one step, and twice the largest tensor of it.

    They are counted in steps of small patches and extrapolated. A part is the same for every patch (weights in
    bfloat16), most grows with the number of voxels, and the weights of an attention over the whole map grow with its
    square.
    """
    data, windows = config.data, config.network.attention_windows
    powers = (0, 3, 6) if 0 in windows else (0, 3)
    divisor = math.lcm(config.network.multiple, *(w * 2**level for level, w in enumerate(windows) if w))
    least = -(-2 * config.network.multiple // divisor)  # Two voxels at the deepest level: one has no variance.
    sides = [k * divisor for k in (least, least + 1, least + 2)][: len(powers)]
    counted = [_counted_bytes(_with_patches(config, side=side, batch=1)) for side in sides]
    coefficients = np.linalg.solve([[float(side) ** p for p in powers] for side in sides], counted)
    return float(data.batch * sum(c * float(data.patch) ** p for c, p in zip(coefficients, powers, strict=True)))


def _with_patches(config: TrainConfig, *, side: int, batch: int) -> TrainConfig:
    return replace(config, data=replace(config.data, patch=side, batch=batch))


def _counted_bytes(config: TrainConfig) -> float:
    """Bytes that autograd keeps of a step that is run, and twice the largest tensor of it."""
    device = select_device(config.runtime.device)
    network = network_of(config.network).to(device).train()
    batch = Batch.from_patches(_random_patches(config), device)
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, autocast(config.runtime.precision, device):
        loss = segmentation_loss(network, batch, config.loss)
        if (regulariser := config.loss.regulariser) is not None:
            denoiser = ImageDenoiser(config.network).to(device).train()
            own |= {p.untyped_storage().data_ptr() for p in denoiser.parameters()}
            spacing_mm, generator = config.data.spacing_mm, np.random.default_rng(0)
            loss = loss + regulariser_loss(
                network, denoiser, batch, regulariser, spacing_mm=spacing_mm, generator=generator
            )
    return sum(sizes.values()) + 2.0 * max(sizes.values())


def _random_patches(config: TrainConfig) -> Patches:
    """A batch of the right shapes: noise with the target in a corner."""
    network, data = config.network, config.data
    sides, targets, modalities = (data.patch,) * 3, len(network.targets), len(network.modalities)
    rng = np.random.default_rng(0)
    labels = np.zeros((data.batch, targets, *sides), dtype=np.float32)
    labels[..., : sides[0] // 2, :4, :4] = 1.0
    images = rng.standard_normal((data.batch, modalities, *sides), dtype=np.float32)
    guidance = rng.random((data.batch, 1 + modalities if config.uses_uncertainty else 0, *sides), dtype=np.float32)
    present = np.ones((data.batch, modalities), dtype=np.float32)
    patches = Patches(images, present, labels, np.ones_like(labels), np.ones_like(labels[:, :1]), guidance)
    if network.mirrored:
        patches = replace(patches, mirror=images, mirror_brain=patches.brain)
    if network.context:
        context = rng.random((data.batch, network.context_channels, *sides), dtype=np.float32)
        patches = replace(patches, context=context)
    return with_regions(patches, config.loss.kind)


def _seconds(config: TrainConfig) -> float:
    """Time of a step on this machine, of the second one, for the first one selects kernels."""
    multiple = config.network.multiple
    side = config.data.patch
    while side > multiple and side > _TIMED_SIDE:
        side -= multiple
    small = replace(_with_patches(config, side=side, batch=1), posterior="dropout")
    small = replace(small, optimiser=replace(small.optimiser, initial=""))
    state, seconds = State(small, select_device(config.runtime.device)), 0.0
    for number in range(2):
        started = time.perf_counter()
        state.step(number, _random_patches(small))
        seconds = time.perf_counter() - started
    return seconds * config.data.batch * (config.data.patch / side) ** 3
