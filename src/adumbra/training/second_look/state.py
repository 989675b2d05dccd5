"""What a training step of a second look changes, and its loss."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adumbra.inference.device import autocast, select_device
from adumbra.networks.second_look import SecondLookNetwork
from adumbra.training.losses import learning_rate, weighted_dice_loss
from adumbra.training.second_look.batches import Example
from adumbra.training.second_look.config import SecondLookTraining

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def second_look_loss(
    score: Tensor, contour: Tensor, true: Tensor, truth: Tensor, *, contour_weight: float = 1.0
) -> tuple[Tensor, Tensor]:
    """The terms of the loss: cross-entropy of the class, and Dice with cross-entropy of the contours of true examples.

    Args:
        score: (B,), logits of the class.
        contour: (B, 1, X, Y, Z), logits of the contour.
        true: (B,), 0 or 1.
        truth: (B, 1, X, Y, Z), 0 or 1.
        contour_weight: Weight of the second term.

    Returns:
        Two scalars; the second is 0 where no example is true.
    """
    of_class = F.binary_cross_entropy_with_logits(score.float(), true)
    rows = true > 0.5
    if not rows.any():
        return of_class, contour.float().sum() * 0.0
    logits, mask = contour[rows].float(), truth[rows]
    dice = weighted_dice_loss(logits.sigmoid(), mask, torch.ones_like(mask))
    return of_class, contour_weight * (dice + F.binary_cross_entropy_with_logits(logits, mask))


class SecondLookState:
    """Network, moving average and optimiser.

    Args:
        config: The training.
    """

    def __init__(self, config: SecondLookTraining) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, select_device(config.runtime.device)
        self.network = SecondLookNetwork(config.network).to(self.device).train()
        self.average = {name: p.detach().clone() for name, p in self.network.named_parameters()}
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": config.optimiser.weight_decay}]
        self.optimiser = torch.optim.AdamW([*groups, {"params": others, "weight_decay": 0.0}])

    def step(self, number: int, examples: Sequence[Example]) -> dict[str, float]:
        """Does one optimiser step; returns the terms of the loss, the norm of the gradient and the learning rate."""
        optimiser = self.config.optimiser
        rate = learning_rate(number, optimiser)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed(int(np.random.default_rng([self.config.seed, number, 1]).integers(2**62)))
        x, present, true, truth = example_tensors(examples, self.device)
        with autocast(self.config.runtime.precision, self.device):
            score, contour = self.network.look(x, present)
        weight = self.config.contour_weight
        of_class, of_contour = second_look_loss(score, contour, true, truth, contour_weight=weight)
        self.optimiser.zero_grad(set_to_none=True)
        (of_class + of_contour).backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), optimiser.clip)
        if torch.isfinite(norm):
            self.optimiser.step()
        decay = min(optimiser.ema_decay, (1.0 + number) / (10.0 + number))
        with torch.no_grad():
            for name, p in self.network.named_parameters():
                self.average[name].lerp_(p, 1.0 - decay)
        return {
            "class": float(of_class.detach()),
            "contour": float(of_contour.detach()),
            "gradient": float(norm),
            "learning_rate": rate,
        }

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, by ``part/name``."""
        parts: dict[str, Tensor] = {f"average/{name}": tensor for name, tensor in self.average.items()}
        for name, p in self.network.named_parameters():
            parts[f"weights/{name}"] = p
            parts |= {f"{key}/{name}": value for key, value in self.optimiser.state[p].items()}
        return parts

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores the state that ``tensors`` gave."""
        with torch.no_grad():
            for name, p in self.network.named_parameters():
                p.copy_(tensors[f"weights/{name}"])
                self.average[name].copy_(tensors[f"average/{name}"])
                moments = {key: tensors[f"{key}/{name}"] for key in _MOMENTS if f"{key}/{name}" in tensors}
                self.optimiser.state[p] = {key: value.clone() for key, value in moments.items()}

    def averaged_network(self) -> SecondLookNetwork:
        """A network with the averaged weights, rounded as they are stored."""
        network = SecondLookNetwork(self.config.network).to(self.device)
        network.load_state_dict({name: tensor.half().float() for name, tensor in self.average.items()})
        return network.eval()


def example_tensors(examples: Sequence[Example], device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Channels, presence, whether each is a clot, and contours of a batch."""
    x = torch.from_numpy(np.stack([e.channels for e in examples]))
    present = torch.from_numpy(np.stack([e.present for e in examples]))
    true = torch.tensor([float(e.true) for e in examples])
    truth = torch.from_numpy(np.stack([e.contour[None] for e in examples]))
    return x.to(device), present.to(device), true.to(device), truth.to(device)
