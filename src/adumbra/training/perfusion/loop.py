"""The training of the estimate of hypoperfusion. A stopped training is resumed.

A step depends on the state before it and on its own number only, as in ``training.loop``.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from adumbra.core.atlas.coarse_grid import SPACING_MM
from adumbra.core.atomic_io import write_atomically
from adumbra.core.errors import InputRejected
from adumbra.core.progress import Progress, quiet
from adumbra.inference.device import autocast, select_device
from adumbra.networks.perfusion import PerfusionConfig, PerfusionNetwork, load_perfusion, perfusion_facts
from adumbra.networks.weights import save_weights
from adumbra.simulation.stroke_maps import StrokeMaps, read_stroke_maps
from adumbra.training.allocator import keep_freed_memory
from adumbra.training.checkpoint import Checkpoint, locked, read_checkpoint, write_checkpoint
from adumbra.training.config import OptimiserConfig, RuntimeConfig
from adumbra.training.log import Log
from adumbra.training.losses import learning_rate
from adumbra.training.perfusion.emission import EmissionConfig, PerfusionExample, sample_example
from adumbra.training.perfusion.loss import perfusion_loss

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
_HEADS_IN_MEMORY = 4000
_STATE_WEIGHT = 0.3  # of the state of the arteries in the loss
_OPEN_SHARE = 0.3  # of the strokes with open arteries, the share that is trained on


@dataclass(frozen=True)
class PerfusionTraining:
    """Everything that a training depends on.

    Attributes:
        network: Architecture.
        emission: How evidence is imitated.
        batch: Number of strokes in a step.
        samples: Number of samples of the latent variable in the loss.
        correlated_voxels: See ``loss.perfusion_loss``; 64 voxels are 16 mm along each side.
        held_out: Number of heads at the end of the list that are validated.
        optimiser: Optimiser and schedule.
        seed: Seed of every random choice.
        runtime: How the training runs; not part of its identity.
    """

    network: PerfusionConfig = field(default_factory=PerfusionConfig)
    emission: EmissionConfig = field(default_factory=EmissionConfig)
    batch: int = 4
    samples: int = 12
    correlated_voxels: float = 64.0
    held_out: int = 20
    optimiser: OptimiserConfig = field(default_factory=lambda: OptimiserConfig(steps=4000, learning_rate=1e-3))
    seed: int = 0
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def identity(self) -> dict[str, object]:
        """The options that the result depends on, as plain values."""
        return {name: value for name, value in asdict(self).items() if name != "runtime"}


@dataclass(frozen=True)
class PerfusionScores:
    """Scores on held-out simulated strokes with imitated evidence.

    Attributes:
        loss: The loss of the map, nats per voxel and threshold.
        closed: Cross-entropy of the state of the arteries, nats.
        dice: Mean Dice of Tmax > 6 s over strokes with at least 15 ml.
        closed_found: Share of closed arteries with a probability of at least 0.5.
        open_found: Share of the others with a probability below 0.5.
    """

    loss: float
    closed: float
    dice: float
    closed_found: float
    open_found: float


def train_perfusion(
    paths: Sequence[Path],
    out: Path,
    config: PerfusionTraining,
    *,
    facts: Mapping[str, object] | None = None,
    progress: Progress = quiet,
) -> Path:
    """Trains on the strokes of all files but the held-out ones; resumes where an earlier call on ``out`` was stopped.

    Args:
        paths: Files of ``simulation.stroke_maps``.
        out: A folder for this training alone.
        config: The options.
        facts: Further facts of the card.
        progress: Reports the steps.

    Returns:
        The weights, ``out/weights.safetensors``; beside them stand their card and the log.

    Raises:
        InputRejected: There is no head to train on.
        OutputRefused: ``out`` holds another training, is in use, or cannot be written.
    """
    split = len(paths) - config.held_out
    if split < 1:
        raise InputRejected(
            "strokes",
            expected="at least one head to train on",
            found=f"{len(paths)} heads of which {config.held_out} are held out",
            do="simulate more heads",
        )
    with locked(out):
        keep_freed_memory()
        if config.runtime.threads:
            torch.set_num_threads(config.runtime.threads)
        return _run(paths[:split], paths[split:], out, config, facts or {}, progress)


def _run(
    paths: Sequence[Path],
    held_out: Sequence[Path],
    out: Path,
    config: PerfusionTraining,
    facts: Mapping[str, object],
    progress: Progress,
) -> Path:
    names = "\n".join(path.name for path in paths)
    initial = config.optimiser.initial and Path(config.optimiser.initial).name  # no path enters a card
    stated = replace(config, optimiser=replace(config.optimiser, initial=initial))
    identity = stated.identity() | {"heads": f"{len(paths)}, {hashlib.sha256(names.encode()).hexdigest()[:16]}"}
    state, done, seconds = PerfusionState(config), 0, 0.0
    if (checkpoint := read_checkpoint(out, identity)) is not None:
        state.restore(checkpoint.tensors)
        done, seconds = checkpoint.step, checkpoint.seconds
    started, steps = time.monotonic() - seconds, config.optimiser.steps
    scores: PerfusionScores | None = None
    with Log(out, done) as log:
        for number in progress.track(range(done, steps), what="Training", total=steps - done):
            rng = np.random.default_rng([config.seed, number])
            examples = [_sampled(paths, rng, config.emission) for _ in range(config.batch)]
            log.write(number + 1, state.step(number, examples))
            every, last = config.runtime.validate_every, number + 1 == steps
            if held_out and (last or (every and (number + 1) % every == 0)):
                scores = validate_perfusion(state.averaged_network(), held_out, config)
                log.write(number + 1, asdict(scores))
            if (number + 1) % config.runtime.checkpoint_every == 0 or last:
                elapsed = time.monotonic() - started
                write_checkpoint(out, Checkpoint(number + 1, identity, elapsed, state.tensors()))
    hours = round((time.monotonic() - started) / 3600, 3)
    measured = None if scores is None else asdict(scores)
    return _write_weights(state, config, out, {**facts, "identity": identity, "scores": measured, "hours": hours})


def _sampled(paths: Sequence[Path], rng: np.random.Generator, emission: EmissionConfig) -> PerfusionExample:
    """A stroke; of those with open arteries, which tell the map nothing, only some, with a larger weight instead."""
    while True:
        maps = _head(paths[int(rng.integers(len(paths)))])
        number = int(rng.integers(len(maps.facts)))
        if not maps.facts[number].is_open or rng.random() < _OPEN_SHARE:
            return sample_example(maps, number, rng, emission)


@lru_cache(maxsize=_HEADS_IN_MEMORY)
def _head(path: Path) -> StrokeMaps:
    """A head, kept in memory in half precision: 300 kB."""
    maps = read_stroke_maps(path)
    half = (maps.tmax_s.astype(np.float16), maps.infarct.astype(np.float16))
    return StrokeMaps(maps.tissue, *half, maps.facts)


@torch.inference_mode()
def validate_perfusion(network: PerfusionNetwork, paths: Sequence[Path], config: PerfusionTraining) -> PerfusionScores:
    """Scores on held-out heads; every head gives its strokes once, with the same imitated evidence in each call."""
    losses, states, overlaps, probabilities, truths = [], [], [], [], []
    device = next(network.parameters()).device
    for number, path in enumerate(paths):
        maps = _head(path)
        for stroke in range(len(maps.facts)):
            rng = np.random.default_rng([number, stroke])
            example = sample_example(maps, stroke, rng, config.emission)
            x, tissue, tmax, closed = batch_tensors([example], device)
            output = network(x)
            noise = torch.from_numpy(rng.standard_normal((1, 32, config.network.rank), dtype=np.float32)).to(device)
            of_map, of_state = perfusion_loss(
                output, tissue, tmax, closed, noise=noise, correlated_voxels=config.correlated_voxels
            )
            states.append(float(of_state))
            probabilities.append(float(output.closed.sigmoid()[0]))
            truths.append(example.closed)
            if not example.closed:
                continue
            losses.append(float(of_map))
            truth = (tmax > 6.0) & tissue
            if int(truth.sum()) * SPACING_MM**3 / 1000 >= 15.0:
                exceeds = output.exceedance_logits(output.latent(noise), 6.0).sigmoid().mean(1)
                mask = (exceeds >= 0.5) & tissue
                overlaps.append(2.0 * float((mask & truth).sum()) / float(mask.sum() + truth.sum()))
    called, closed_rows = np.array(probabilities) >= 0.5, np.array(truths)
    return PerfusionScores(
        _mean(losses), _mean(states), _mean(overlaps), _mean(called[closed_rows]), _mean(~called[~closed_rows])
    )


def _mean(values: "Sequence[float] | np.ndarray") -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def batch_tensors(examples: Sequence[PerfusionExample], device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Channels, tissue, Tmax, and whether an artery is closed, of a batch."""
    x = torch.from_numpy(np.stack([e.channels for e in examples]))
    tissue = torch.from_numpy(np.stack([e.tissue for e in examples]))
    tmax = torch.from_numpy(np.stack([e.tmax_s for e in examples]))
    closed = torch.tensor([float(e.closed) for e in examples])
    return x.to(device), tissue.to(device), tmax.to(device), closed.to(device)


class PerfusionState:
    """Network, moving average and optimiser.

    Args:
        config: The training.
    """

    def __init__(self, config: PerfusionTraining) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, select_device(config.runtime.device)
        self.network = PerfusionNetwork(config.network).to(self.device).train()
        if config.optimiser.initial:
            loaded = load_perfusion(Path(config.optimiser.initial)).network
            self.network.load_state_dict(loaded.state_dict())
        self.average = {name: p.detach().clone() for name, p in self.network.named_parameters()}
        decay = config.optimiser.weight_decay
        self.optimiser = torch.optim.AdamW(self.network.parameters(), weight_decay=decay)

    def step(self, number: int, examples: Sequence[PerfusionExample]) -> dict[str, float]:
        """Does one optimiser step; returns the terms of the loss, the norm of the gradient and the learning rate."""
        optimiser, rate = self.config.optimiser, learning_rate(number, self.config.optimiser)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        x, tissue, tmax, closed = batch_tensors(examples, self.device)
        opened = torch.tensor([e.opened for e in examples], device=self.device)
        shape = (len(examples), self.config.samples, self.config.network.rank)
        draws = np.random.default_rng([self.config.seed, number, 1]).standard_normal(shape, dtype=np.float32)
        with autocast(self.config.runtime.precision, self.device):
            output = self.network(x)
        of_map, of_state = perfusion_loss(
            output,
            tissue,
            tmax,
            closed,
            noise=torch.from_numpy(draws).to(self.device),
            correlated_voxels=self.config.correlated_voxels,
            weight=torch.where(opened, 1.0 / _OPEN_SHARE, 1.0),
        )
        self.optimiser.zero_grad(set_to_none=True)
        (of_map + _STATE_WEIGHT * of_state).backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), optimiser.clip)
        if torch.isfinite(norm):
            self.optimiser.step()
        ema = min(optimiser.ema_decay, (1.0 + number) / (10.0 + number))
        with torch.no_grad():
            for name, p in self.network.named_parameters():
                self.average[name].lerp_(p, 1.0 - ema)
        return {
            "map": float(of_map.detach()),
            "state": float(of_state.detach()),
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

    def averaged_network(self) -> PerfusionNetwork:
        """A network with the averaged weights, rounded as they are stored."""
        network = PerfusionNetwork(self.config.network).to(self.device)
        network.load_state_dict({name: tensor.half().float() for name, tensor in self.average.items()})
        return network.eval()


def _write_weights(state: PerfusionState, config: PerfusionTraining, out: Path, facts: Mapping[str, object]) -> Path:
    card = {
        **perfusion_facts(config.network),
        "spacing_mm": SPACING_MM,
        "patch": 48,
        "threshold": 0.5,
        "training": json.loads(json.dumps(dict(facts), default=str)),
    }
    path = out / "weights.safetensors"
    sha256 = save_weights(path, state.averaged_network().state_dict(), card)
    write_atomically(out / "weights.json", (json.dumps({"sha256": sha256, **card}, indent=1) + "\n").encode())
    return path
