"""What a training step changes: the network, its moving average and the optimiser."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from adumbra.inference.device import autocast
from adumbra.networks.denoiser import ImageDenoiser
from adumbra.networks.flipout import made_uncertain
from adumbra.networks.registry import load, network_of, transferred_weights
from adumbra.networks.unet import UNet
from adumbra.networks.weights import load_into
from adumbra.training.config import TrainConfig
from adumbra.training.fitting import DENOISER, STEADY, WANDERING, own_weights, snapshot_due, swag_moments
from adumbra.training.losses import learning_rate
from adumbra.training.objective import Batch, divergence, regulariser_loss, segmentation_loss
from adumbra.training.patches import Patches

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class State:
    """Network, moving average and optimiser, and the snapshots of a SWAG: what a step changes.

    Args:
        config: Of the training.
        device: Where it runs.
        observations: How many independent voxels the data hold; the prior of uncertain weights weighs against them.
    """

    def __init__(self, config: TrainConfig, device: torch.device, observations: float = 1e6) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device, self.observations = config, device, observations
        self.network = network_of(config.network)
        if config.initial:
            begun = load(config.initial)
            known = begun.plain if type(self.network) is UNet and begun.plain is not None else begun.network
            load_into(self.network, transferred_weights(known.state_dict(), self.network), Path(config.initial))
        if config.posterior == "variational":
            made_uncertain(self.network, "decoder.")
        self.snapshots = swag_moments()
        self.network.to(device).train()
        self.denoiser = ImageDenoiser(config.network).to(device).train() if config.regulariser else None
        self.ema_weights = {name: p.detach().clone() for name, p in self.parameters()}
        self.optimiser = _optimiser([p for _, p in self.parameters()], config.weight_decay)

    def step(self, number: int, batch: Patches) -> dict[str, float]:
        """One optimiser step; its loss, gradient norm and learning rate."""
        config = self.config
        rate = _rate(number, config)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed(int(np.random.default_rng([config.seed, number, 1]).integers(2**62)))
        given = Batch.of(batch, self.device)
        with autocast(config.precision, self.device):
            terms = self._terms(number, given)
        loss = sum(terms.values(), start=divergence(self.network, number, config, self.observations))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_([p for _, p in self.parameters()], config.clip)
        if torch.isfinite(norm):
            self.optimiser.step()
        self._follow(number)
        if snapshot_due(number, config):
            self.snapshots.add(dict(self.network.named_parameters()))
        told = {name: float(term.detach()) for name, term in terms.items()} if self.denoiser else {}
        return {"loss": float(loss.detach()), **told, "gradient": float(norm), "learning_rate": rate}

    def _terms(self, number: int, batch: Batch) -> dict[str, Tensor]:
        """The parts of the loss, with their weights: the outlines', the diffusion model's, or both."""
        config = self.config
        if config.regulariser is None or self.denoiser is None:
            return {"segmentation": segmentation_loss(self.network, batch, config)}
        generator = np.random.default_rng([config.seed, number, 2])
        alone = number < round(config.regulariser.pretrain_share * config.steps)
        terms = {} if alone else {"segmentation": segmentation_loss(self.network, batch, config)}
        weight = 1.0 if alone else config.regulariser.weight
        if weight:
            terms["denoising"] = weight * regulariser_loss(self.network, self.denoiser, batch, config, generator)
        return terms

    def parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """All that is trained, by name: the network's, and those of the diffusion model that shares its encoder."""
        yield from self.network.named_parameters()
        if self.denoiser is not None:
            yield from ((f"{DENOISER}{name}", p) for name, p in self.denoiser.named_parameters())

    def _follow(self, number: int) -> None:
        decay = min(self.config.ema_decay, (1.0 + number) / (10.0 + number))
        current = [p.detach() for _, p in self.parameters()]
        torch._foreach_lerp_(list(self.ema_weights.values()), current, 1.0 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by ``part/name``."""
        parts: dict[str, Tensor] = {f"average/{name}": t for name, t in self.ema_weights.items()}
        for name, p in self.parameters():
            parts[f"weights/{name}"] = p
            parts |= {f"{key}/{name}": value for key, value in self.optimiser.state[p].items()}
        return parts | {f"snapshots/{name}": t for name, t in self.snapshots.tensors().items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what ``tensors`` gave."""
        with torch.no_grad():
            for name, p in self.parameters():
                p.copy_(tensors[f"weights/{name}"])
                self.ema_weights[name].copy_(tensors[f"average/{name}"])
                moments = {k: tensors[f"{k}/{name}"] for k in _MOMENTS if f"{k}/{name}" in tensors}
                self.optimiser.state[p] = {k: v.clone().to(self.device) for k, v in moments.items()}
        taken = {n.removeprefix("snapshots/"): t for n, t in tensors.items() if n.startswith("snapshots/")}
        self.snapshots.restore(taken)

    def averaged(self) -> UNet:
        """A network with the averaged weights, rounded to what the file will hold."""
        return self.holding(own_weights(self.ema_weights))

    def holding(self, weights: Mapping[str, Tensor]) -> UNet:
        """A network with these weights, rounded to what the file will hold."""
        network = network_of(self.config.network).to(self.device)
        network.load_state_dict({name: t.half().float() for name, t in weights.items()})
        return network.eval()


def _rate(number: int, config: TrainConfig) -> float:
    """The learning rate of a step; weights that wander for SWAG do so at a constant one."""
    begin = round(config.steps * (1.0 - WANDERING))
    if config.posterior == "swag" and number >= begin:
        return STEADY * config.learning_rate
    return learning_rate(number, steps=config.steps, warmup=config.warmup, highest=config.learning_rate)


def _optimiser(parameters: Sequence[nn.Parameter], weight_decay: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, ICLR 2019); decay is for convolutions, for it would pull gains off the identity."""
    convolutions = [p for p in parameters if p.ndim > 2]
    others = [p for p in parameters if p.ndim <= 2]
    groups = [{"params": convolutions, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, fused=True)  # type: ignore[arg-type]
