"""What a training step changes: the network, its moving average and the optimiser."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from adumbra.networks.catalogue import load
from adumbra.networks.unet import UNet
from adumbra.networks.weights import load_into
from adumbra.posterior.machine import autocast
from adumbra.training.config import TrainConfig
from adumbra.training.losses import learning_rate, region_balanced
from adumbra.training.patches import Patches

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class State:
    """Network, moving average and optimiser: what a step changes."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, device
        self.network = UNet(config.network)
        if config.initial:
            load_into(self.network, load(config.initial).network.state_dict(), Path(config.initial))
        self.network.to(device).train()
        self.average = {name: p.detach().clone() for name, p in self.network.named_parameters()}
        self.optimiser = _optimiser(self.network, config.weight_decay)

    def step(self, number: int, batch: Patches) -> dict[str, float]:
        """One optimiser step; its loss, gradient norm and learning rate."""
        config = self.config
        rate = learning_rate(number, steps=config.steps, warmup=config.warmup, highest=config.learning_rate)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed(int(np.random.default_rng([config.seed, number, 1]).integers(2**62)))
        arrays = (batch.channels, batch.present, batch.labels, batch.weights)
        x, present, labels, weights = (torch.from_numpy(a).to(self.device) for a in arrays)
        with autocast(config.precision, self.device):
            logits = self.network(x, present)
        loss = region_balanced(logits, labels, weights, hardest=config.hardest)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
        if torch.isfinite(norm):
            self.optimiser.step()
        self._follow(number)
        return {"loss": float(loss.detach()), "gradient": float(norm), "learning_rate": rate}

    def _follow(self, number: int) -> None:
        decay = min(self.config.average, (1.0 + number) / (10.0 + number))
        current = [p.detach() for p in self.network.parameters()]
        torch._foreach_lerp_(list(self.average.values()), current, 1.0 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by ``part/name``."""
        parts: dict[str, Tensor] = {f"average/{name}": t for name, t in self.average.items()}
        for name, p in self.network.named_parameters():
            parts[f"weights/{name}"] = p
            parts |= {f"{key}/{name}": value for key, value in self.optimiser.state[p].items()}
        return parts

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what ``tensors`` gave."""
        with torch.no_grad():
            for name, p in self.network.named_parameters():
                p.copy_(tensors[f"weights/{name}"])
                self.average[name].copy_(tensors[f"average/{name}"])
                moments = {k: tensors[f"{k}/{name}"] for k in _MOMENTS if f"{k}/{name}" in tensors}
                self.optimiser.state[p] = {k: v.clone().to(self.device) for k, v in moments.items()}

    def averaged(self) -> UNet:
        """A network with the averaged weights, rounded to what the file will hold."""
        network = UNet(self.config.network).to(self.device)
        network.load_state_dict({name: t.half().float() for name, t in self.average.items()})
        return network.eval()


def _optimiser(network: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, ICLR 2019); decay is for convolutions, for it would pull gains off the identity."""
    convolutions = [p for p in network.parameters() if p.ndim > 2]
    others = [p for p in network.parameters() if p.ndim <= 2]
    groups = [{"params": convolutions, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, fused=True)  # type: ignore[arg-type]
