"""What a training will ask of the machine, before it is begun: parameters, memory, time.

Memory is computed: steps of small patches are made, what autograd keeps for the backward pass is added up, and that is
scaled to the patch that is asked for; so it can be asked for a GPU that is not there. Time is measured on this machine,
of a small patch too, and scaled by the volume.
"""

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from adumbra.inference.device import autocast, chosen_device
from adumbra.networks.denoiser import ImageDenoiser
from adumbra.networks.registry import architecture_of, network_of
from adumbra.training.config import TrainConfig
from adumbra.training.objective import Batch, regulariser_loss, segmentation_loss
from adumbra.training.patches import Patches
from adumbra.training.state import State

_COUNTED = 48  # Side of a patch that a laptop makes a step of in seconds.
_COPIES = 5  # Of each parameter, float32: weight, gradient, two moments, moving average.


@dataclass(frozen=True)
class Plan:
    """What a training asks for.

    Attributes:
        architecture: Its name.
        parameters: Of the network.
        denoiser: Of what is trained beside it.
        memory_gb: Highest, of one step: parameters with their copies, what is kept for the backward pass, and twice the
            largest of these. Workspaces of convolutions come on top, some per cent.
        seconds_a_step: On this machine.
        steps_an_epoch: That show as many patches as there are cases.
    """

    architecture: str
    parameters: int
    denoiser: int
    memory_gb: float
    seconds_a_step: float
    steps_an_epoch: int

    @property
    def seconds_an_epoch(self) -> float:
        """On this machine."""
        return self.seconds_a_step * self.steps_an_epoch


def planned(config: TrainConfig, *, cases: int) -> Plan:
    """What a training on so many cases asks for."""
    network = network_of(config.network)
    beside = ImageDenoiser(config.network) if config.regulariser else None
    own, other = (sum(p.numel() for p in m.parameters()) if m else 0 for m in (network, beside))
    gb = (4.0 * _COPIES * (own + other) + _kept_bytes(config)) / 1e9
    steps = max(1, -(-(cases - config.held_out) // config.batch))
    return Plan(architecture_of(config.network), own, other, gb, _seconds(config), steps)


def _kept_bytes(config: TrainConfig) -> float:
    """What autograd keeps of one step, and twice the largest of it.

    Counted in steps of small patches: some of it is the same for every patch (weights in bfloat16), most grows with the
    voxels, and the weights of an attention over the whole map grow with their square.
    """
    windows = getattr(config.network, "windows", ())
    powers = (0, 3, 6) if 0 in windows else (0, 3)
    fitting = math.lcm(config.network.multiple, *(w * 2**level for level, w in enumerate(windows) if w))
    least = -(-2 * config.network.multiple // fitting)  # two voxels at the deepest level: one has no variance
    sides = [k * fitting for k in (least, least + 1, least + 2)][: len(powers)]
    found = [_counted(replace(config, patch=side, batch=1)) for side in sides]
    grown = np.linalg.solve([[float(side) ** p for p in powers] for side in sides], found)
    return float(config.batch * sum(g * float(config.patch) ** p for g, p in zip(grown, powers, strict=True)))


def _counted(config: TrainConfig) -> float:
    """The bytes, of a step that is made."""
    device = chosen_device(config.device)
    network = network_of(config.network).to(device).train()
    batch = Batch.of(_made_up(config), device)
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, autocast(config.precision, device):
        loss = segmentation_loss(network, batch, config)
        if config.regulariser is not None:
            denoiser = ImageDenoiser(config.network).to(device).train()
            own |= {p.untyped_storage().data_ptr() for p in denoiser.parameters()}
            loss = loss + regulariser_loss(network, denoiser, batch, config, np.random.default_rng(0))
    return sum(sizes.values()) + 2.0 * max(sizes.values())


def _made_up(config: TrainConfig) -> Patches:
    """A batch of the right shapes: noise, of which a corner is the target."""
    network, sides = config.network, (config.patch,) * 3
    targets, modalities = len(network.targets), len(network.modalities)
    rng = np.random.default_rng(0)
    labels = np.zeros((config.batch, targets, *sides), dtype=np.float32)
    labels[..., : sides[0] // 2, :4, :4] = 1.0
    images = rng.standard_normal((config.batch, modalities, *sides), dtype=np.float32)
    guidance = rng.random((config.batch, 1 + modalities if config.uses_uncertainty else 0, *sides), dtype=np.float32)
    present = np.ones((config.batch, modalities), dtype=np.float32)
    return Patches(images, present, labels, np.ones_like(labels), np.ones_like(labels[:, :1]), guidance)


def _seconds(config: TrainConfig) -> float:
    """Of a step on this machine: the second, for the first chooses kernels."""
    multiple = config.network.multiple
    side = config.patch
    while side > multiple and side > _COUNTED:
        side -= multiple
    small = replace(config, patch=side, batch=1, posterior="dropout", initial="")
    state, taken = State(small, chosen_device(config.device)), 0.0
    for number in range(2):
        begun = time.perf_counter()
        state.step(number, _made_up(small))
        taken = time.perf_counter() - begun
    return taken * config.batch * (config.patch / side) ** 3
