"""The state that a training step changes: the network, its moving average and the optimiser."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from adumbra.core.errors import WeightsRejected
from adumbra.inference.device import autocast
from adumbra.networks.denoiser import ImageDenoiser
from adumbra.networks.flipout import make_variational
from adumbra.networks.registry import architecture_of, load, network_of, transferred_weights
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import load_into
from adumbra.training.config import TrainConfig
from adumbra.training.fitting import (
    DENOISER_PREFIX,
    SWAG_LEARNING_RATE,
    empty_swag_moments,
    first_snapshot,
    network_weights,
    snapshot_due,
)
from adumbra.training.losses import learning_rate
from adumbra.training.objective import Batch, divergence, regulariser_loss, segmentation_loss
from adumbra.training.patches import Patches

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class State:
    """Network, moving average, optimiser, and the snapshots for SWAG.

    Args:
        config: The training.
        device: Device of the network.
        observations: Number of independent voxels in the data; it balances the prior of variational weights.
    """

    def __init__(self, config: TrainConfig, device: torch.device, observations: float = 1e6) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device, self.observations = config, device, observations
        self.network = network_of(config.network)
        if config.optimiser.initial:
            _load_initial(self.network, config.optimiser.initial)
        if config.posterior == "variational":
            make_variational(self.network, "decoder.")
        self.snapshots = empty_swag_moments()
        self.network.to(device).train()
        self.denoiser = ImageDenoiser(config.network).to(device).train() if config.loss.regulariser else None
        self.ema_weights = {name: p.detach().clone() for name, p in self.parameters()}
        self.optimiser = _optimiser([p for _, p in self.parameters()], config.optimiser.weight_decay)

    def step(self, number: int, batch: Patches) -> dict[str, float]:
        """Does one optimiser step.

        Args:
            number: Number of the step, counted from 0; all randomness depends on it.
            batch: The patches of the step.

        Returns:
            Loss, norm of the gradient and learning rate; beside a regulariser also the terms of the loss.
        """
        config = self.config
        rate = _learning_rate(number, config)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed(int(np.random.default_rng([config.seed, number, 1]).integers(2**62)))
        tensors = Batch.from_patches(batch, self.device)
        with autocast(config.runtime.precision, self.device):
            terms = self._loss_terms(number, tensors)
        steps = config.optimiser.steps
        prior = divergence(self.network, step=number, steps=steps, observations=self.observations)
        loss = sum(terms.values(), start=prior)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_([p for _, p in self.parameters()], config.optimiser.clip)
        if torch.isfinite(norm):
            self.optimiser.step()
        self._update_average(number)
        if config.posterior == "swag" and snapshot_due(number, steps):
            self.snapshots.add(dict(self.network.named_parameters()))
        logged = {name: float(term.detach()) for name, term in terms.items()} if self.denoiser else {}
        return {"loss": float(loss.detach()), **logged, "gradient": float(norm), "learning_rate": rate}

    def _loss_terms(self, number: int, batch: Batch) -> dict[str, Tensor]:
        """The weighted terms of the loss: of the segmentation, of the diffusion model, or both."""
        config, regulariser = self.config, self.config.loss.regulariser
        if regulariser is None or self.denoiser is None:
            return {"segmentation": segmentation_loss(self.network, batch, config.loss)}
        generator = np.random.default_rng([config.seed, number, 2])
        pretraining = number < round(regulariser.pretrain_share * config.optimiser.steps)
        terms = {} if pretraining else {"segmentation": segmentation_loss(self.network, batch, config.loss)}
        weight = 1.0 if pretraining else regulariser.weight
        if weight:
            spacing_mm = config.data.spacing_mm
            terms["denoising"] = weight * regulariser_loss(
                self.network, self.denoiser, batch, regulariser, spacing_mm=spacing_mm, generator=generator
            )
        return terms

    def parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """All trained parameters by name: those of the network, and those of the denoiser that shares its encoder."""
        yield from self.network.named_parameters()
        if self.denoiser is not None:
            yield from ((f"{DENOISER_PREFIX}{name}", p) for name, p in self.denoiser.named_parameters())

    def _update_average(self, number: int) -> None:
        decay = min(self.config.optimiser.ema_decay, (1.0 + number) / (10.0 + number))
        current = [p.detach() for _, p in self.parameters()]
        torch._foreach_lerp_(list(self.ema_weights.values()), current, 1.0 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, by ``part/name``."""
        parts: dict[str, Tensor] = {f"average/{name}": t for name, t in self.ema_weights.items()}
        for name, p in self.parameters():
            parts[f"weights/{name}"] = p
            parts |= {f"{key}/{name}": value for key, value in self.optimiser.state[p].items()}
        return parts | {f"snapshots/{name}": t for name, t in self.snapshots.tensors().items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores the state that ``tensors`` gave."""
        with torch.no_grad():
            for name, p in self.parameters():
                p.copy_(tensors[f"weights/{name}"])
                self.ema_weights[name].copy_(tensors[f"average/{name}"])
                moments = {k: tensors[f"{k}/{name}"] for k in _MOMENTS if f"{k}/{name}" in tensors}
                self.optimiser.state[p] = {k: v.clone().to(self.device) for k, v in moments.items()}
        snapshots = {n.removeprefix("snapshots/"): t for n, t in tensors.items() if n.startswith("snapshots/")}
        self.snapshots.restore(snapshots)

    def averaged_network(self) -> UNet:
        """A network with the averaged weights, rounded as they are stored."""
        return self.network_with(network_weights(self.ema_weights))

    def network_with(self, weights: Mapping[str, Tensor]) -> UNet:
        """A network with these weights, rounded as they are stored."""
        network = network_of(self.config.network).to(self.device)
        network.load_state_dict({name: t.half().float() for name, t in weights.items()})
        return network.eval()


def _load_initial(network: UNet, name: str) -> None:
    """Loads initial weights; a plain U-Net prefers those of a plain U-Net, also where it is a first-pass network."""
    initial = load(name)
    plain = initial.plain if architecture_of(network.config) == "unet" else None
    source = initial.network if plain is None else plain
    _require_same_order(source.config, network.config, name)
    _require_same_targets(source.config, network.config, name)
    load_into(network, transferred_weights(source.state_dict(), network), Path(name))


def _require_same_order(source: UNetConfig, own: UNetConfig, name: str) -> None:
    """Refuses initial weights whose further channels are not the first of the network's; zeros stand for the rest.

    Raises:
        WeightsRejected: A channel would get the weights of another one.
    """
    if source.context != own.context[: len(source.context)] or (source.context and source.mirrored != own.mirrored):
        raise WeightsRejected(
            Path(name).name,
            expected=f"context inputs that begin those of the network: {', '.join(own.context) or 'none'}",
            found=", ".join(source.context) + (" behind mirror images" if source.mirrored else ""),
            do="start from weights without context inputs, or train a network with the same ones",
        )


def _require_same_targets(source: UNetConfig, own: UNetConfig, name: str) -> None:
    """Refuses initial weights whose targets are not the first of the network's.

    Raises:
        WeightsRejected: A row of the head would learn from that of another target.
    """
    if len(source.targets) < len(own.targets) and source.targets != own.targets[: len(source.targets)]:
        raise WeightsRejected(
            Path(name).name,
            expected=f"targets that begin those of the network: {', '.join(own.targets)}",
            found=", ".join(source.targets),
            do="start from weights of the first of these targets, or from scratch",
        )


def _learning_rate(number: int, config: TrainConfig) -> float:
    """Learning rate of a step; it is constant while snapshots for SWAG are taken."""
    if config.posterior == "swag" and number >= first_snapshot(config.optimiser.steps):
        return SWAG_LEARNING_RATE * config.optimiser.learning_rate
    return learning_rate(number, config.optimiser)


def _optimiser(parameters: Sequence[nn.Parameter], weight_decay: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, ICLR 2019); decay applies to convolutions, for it would pull gains away from 1."""
    convolutions = [p for p in parameters if p.ndim > 2]
    others = [p for p in parameters if p.ndim <= 2]
    groups = [{"params": convolutions, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, fused=True)  # type: ignore[arg-type]
