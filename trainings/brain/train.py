"""Trains the brain network on the data of ``simulate.py``; an interrupted training continues where it stopped.

    export OMP_NUM_THREADS=1
    python trainings/brain/train.py DATA FIRST --cpu-minutes 15
    python trainings/brain/train.py DATA RUN --initial FIRST --seed 1 --peak-rate 1.5e-3 --cpu-minutes 9

The second stage starts from the averaged weights of the first. RUN holds ``log.jsonl`` and ``state.pt``; ``release.py``
puts the weights into the package. Files that appear in DATA during the training are used from the next round of 200
steps on.
"""

import argparse
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from augment import Scene, acquired_scene, analytic_scene, example, synthetic_scene

from adumbra.networks.brain_network import WIDTHS, BrainNetwork
from adumbra.preprocessing.brain_input import SPACING_MM

BATCH, WARM_STEPS = 4, 100
ROUND = 200
KINDS = {"acquired": 0.58, "synthetic": 0.27, "analytic": 0.15}
WEIGHTS = {"dwi": 1.0, "adc": 2.5, "b0": 1.0, "flair": 1.0, "swi": 2.0, "tof": 2.0}


class Data:
    """The simulated cases of a folder, in memory."""

    def __init__(self, folder: Path, *, held_out: bool) -> None:
        self.folder, self.held_out = folder, held_out
        self.names: set[str] = set()
        self.images: dict[str, list[tuple[np.ndarray, ...]]] = {m: [] for m in WEIGHTS}
        self.tissues: list[tuple[np.ndarray, ...]] = []
        self.refresh()

    def refresh(self) -> None:
        """Reads the files that are new."""
        for path in sorted(self.folder.glob("*.npz")):
            ours = (int(path.stem[-5:]) % 20 == 7) == self.held_out
            if path.name in self.names or not ours:
                continue
            self.names.add(path.name)
            with np.load(path) as arrays:
                for modality in {key.split("/")[0] for key in arrays} - {"tissue"}:
                    names = ("image", "share", "depth")
                    self.images[modality].append(tuple(arrays[f"{modality}/{name}"] for name in names))
                if "tissue/depth" in arrays:
                    self.tissues.append((arrays["tissue/fractions"], arrays["tissue/depth"]))

    def scene(self, rng: np.random.Generator) -> Scene:
        """A scene of a random kind."""
        kind = rng.choice(list(KINDS), p=list(KINDS.values()))
        if kind == "analytic":
            return analytic_scene(rng)
        if kind == "synthetic":
            return synthetic_scene(rng, *self.tissues[rng.integers(len(self.tissues))])
        usable = {m: w for m, w in WEIGHTS.items() if self.images[m]}
        total = sum(usable.values())
        modality = rng.choice(list(usable), p=[w / total for w in usable.values()])
        return acquired_scene(rng, *self.images[modality][rng.integers(len(self.images[modality]))])

    def batch(self, rng: np.random.Generator, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Channels (B, 2, X, Y, Z) and the brain's fraction (B, 1, X, Y, Z)."""
        pairs = [example(rng, self.scene(rng)) for _ in range(size)]
        channels = torch.from_numpy(np.stack([c for c, _ in pairs]))
        return channels, torch.from_numpy(np.stack([t for _, t in pairs])[:, None])


def loss_of(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of the brain's fraction, and soft Dice loss of each example."""
    logits = logits.float()
    entropy = F.binary_cross_entropy_with_logits(logits, target)
    p = logits.sigmoid()
    both, sums = (p * target).sum((1, 2, 3, 4)), (p + target).sum((1, 2, 3, 4))
    return entropy, 1 - (2 * both + 20) / (sums + 20)


def run(network: BrainNetwork, channels: torch.Tensor) -> torch.Tensor:
    """Logits in bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        return network(channels.contiguous(memory_format=torch.channels_last_3d))


def validation(network: BrainNetwork, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    """Loss and hard Dice on fixed examples of cases that are not trained on."""
    network.eval()
    losses, dices = [], []
    with torch.no_grad():
        for channels, target in batches:
            logits = run(network, channels)
            entropy, dice = loss_of(logits, target)
            losses.append(float(entropy + dice.mean()))
            ours, true = logits > 0, target > 0.5
            sums = ours.sum((1, 2, 3, 4)) + true.sum((1, 2, 3, 4))
            dices += (2 * (ours & true).sum((1, 2, 3, 4)) / sums.clamp(min=1)).tolist()
    network.train()
    return {"loss": float(np.mean(losses)), "dice": float(np.mean(dices)), "dice_p10": float(np.quantile(dices, 0.1))}


def main() -> None:
    """Trains, or continues."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--cpu-minutes", type=float, default=28.0)
    parser.add_argument("--initial", type=Path, help="folder of a finished training to start from")
    parser.add_argument("--peak-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    arguments.run.mkdir(parents=True, exist_ok=True)
    network = BrainNetwork()
    if arguments.initial:
        network.load_state_dict(averaged_weights(arguments.initial))
    network = network.to(memory_format=torch.channels_last_3d)
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True
    )
    optimiser = torch.optim.AdamW(network.parameters(), arguments.peak_rate, weight_decay=1e-3)
    step, spent, budget = 0, 0.0, 60 * arguments.cpu_minutes
    state_file, log_file = arguments.run / "state.pt", arguments.run / "log.jsonl"
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["spent"]
    data, held_out = Data(arguments.data, held_out=False), Data(arguments.data, held_out=True)
    fixed_rng = np.random.default_rng(99)
    fixed = [held_out.batch(fixed_rng, BATCH) for _ in range(6)]
    network.train()
    begun, losses = time.process_time() - spent, []
    while (spent := time.process_time() - begun) < budget:
        rng = np.random.default_rng([arguments.seed, step])
        rate = (
            arguments.peak_rate * min(1.0, (step + 1) / WARM_STEPS) * (0.5 + 0.5 * math.cos(math.pi * spent / budget))
        )
        for group in optimiser.param_groups:
            group["lr"] = rate
        channels, target = data.batch(rng, BATCH)
        entropy, dice = loss_of(run(network, channels), target)
        loss = entropy + dice.mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimiser.step()
        average.update_parameters(network)
        losses.append(loss.item())
        step += 1
        if step % 50 == 0:
            record: dict[str, object] = {
                "step": step,
                "cpu_s": round(spent, 1),
                "loss": float(np.mean(losses[-50:])),
                "rate": rate,
            }
            if step % ROUND == 0:
                data.refresh()
                record |= {"cases": len(data.names), "validation": validation(average.module, fixed)}
                save_state(state_file, network, average, optimiser, step=step, spent=spent)
            with log_file.open("a") as log:
                log.write(json.dumps(record) + "\n")
    save_state(state_file, network, average, optimiser, step=step, spent=spent)
    print(f"{step} steps; python trainings/brain/release.py {arguments.run} puts the weights into the package")


def averaged_weights(run: Path) -> dict[str, torch.Tensor]:
    """The averaged weights of the last state of a training."""
    average = torch.optim.swa_utils.AveragedModel(BrainNetwork(), use_buffers=True)
    average.load_state_dict(torch.load(run / "state.pt", weights_only=True)["average"])
    return dict(average.module.state_dict())


def facts_of(state: Mapping[str, object]) -> dict[str, object]:
    """The facts of the model card from the last state of a training."""
    training = {name: state[name] for name in ("step", "spent", "seed", "cases") if name in state}
    return {
        "architecture": "brain",
        "config": {"widths": list(WIDTHS)},
        "spacing_mm": SPACING_MM,
        "patch": 0,
        "threshold": 0.5,
        "training": training | {"batch": BATCH, "kinds": KINDS, "weights": WEIGHTS},
    }


def save_state(
    path: Path,
    network: torch.nn.Module,
    average: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    *,
    step: int,
    spent: float,
) -> None:
    """Writes everything that a training needs to continue, atomically."""
    state = {"network": network.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save(state | {"step": step, "spent": spent}, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


if __name__ == "__main__":
    main()
