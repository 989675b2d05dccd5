"""The training of a second look: class and contour of cached examples. A stopped training is resumed.

A step depends on the state before it and on its own number only, as in ``training.loop``.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from adumbra.core.atomic_io import write_atomically
from adumbra.core.errors import InputRejected
from adumbra.core.progress import Progress, quiet
from adumbra.inference.device import autocast
from adumbra.networks.registry import architecture_of
from adumbra.networks.second_look import SecondLookNetwork
from adumbra.networks.weights import save_weights
from adumbra.training.allocator import keep_freed_memory
from adumbra.training.checkpoint import Checkpoint, locked, read_checkpoint, write_checkpoint
from adumbra.training.log import Log
from adumbra.training.second_look.batches import ExampleRef, example_refs, read_example, sample_refs
from adumbra.training.second_look.config import SecondLookTraining
from adumbra.training.second_look.state import SecondLookState, example_tensors


@dataclass(frozen=True)
class SecondLookScores:
    """Scores on held-out examples.

    Attributes:
        loss: Cross-entropy of the class, nats.
        sensitivity: Share of the true examples with a probability of at least 0.5; nan without one.
        specificity: Share of the false examples with a probability below 0.5; nan without one.
        dice: Mean Dice of the contours of the true examples; nan without one.
    """

    loss: float
    sensitivity: float
    specificity: float
    dice: float


def train_second_look(
    paths: Sequence[Path],
    out: Path,
    config: SecondLookTraining,
    *,
    facts: Mapping[str, object] | None = None,
    progress: Progress = quiet,
) -> Path:
    """Trains on the examples of all files but the held-out ones; resumes where an earlier call on ``out`` was stopped.

    Args:
        paths: Files of ``examples.cache_examples``.
        out: A folder for this training alone.
        config: The options.
        facts: Further facts of the card, such as the first pass.
        progress: Reports the steps.

    Returns:
        The weights, ``out/weights.safetensors``; beside them stand their card and the log.

    Raises:
        InputRejected: There is no example to train on.
        OutputRefused: ``out`` holds another training, is in use, or cannot be written.
    """
    split = len(paths) - config.held_out
    refs, held_out = example_refs(paths[:split]), example_refs(paths[split:])
    if not refs:
        raise InputRejected("examples", expected="at least one", found="none", do="prepare more cases")
    with locked(out):
        keep_freed_memory()
        if config.runtime.threads:
            torch.set_num_threads(config.runtime.threads)
        return _run(refs, held_out, out, config, facts or {}, progress)


def _run(
    refs: Sequence[ExampleRef],
    held_out: Sequence[ExampleRef],
    out: Path,
    config: SecondLookTraining,
    facts: Mapping[str, object],
    progress: Progress,
) -> Path:
    identity = config.identity() | {"examples": _examples_hash(refs)}
    state, done, seconds = SecondLookState(config), 0, 0.0
    if (checkpoint := read_checkpoint(out, identity)) is not None:
        state.restore(checkpoint.tensors)
        done, seconds = checkpoint.step, checkpoint.seconds
    started, steps = time.monotonic() - seconds, config.optimiser.steps
    scores: SecondLookScores | None = None
    with Log(out, done) as log:
        for number in progress.track(range(done, steps), what="Training", total=steps - done):
            rng = np.random.default_rng([config.seed, number])
            chosen = sample_refs(refs, config.batch, rng)
            mirrored = config.network.mirrored
            examples = [read_example(r, mirrored=mirrored, rng=rng, augmentation=config.augmentation) for r in chosen]
            log.write(number + 1, state.step(number, examples))
            every, last = config.runtime.validate_every, number + 1 == steps
            if held_out and (last or (every and (number + 1) % every == 0)):
                scores = validate_second_look(state.averaged_network(), held_out, config)
                log.write(number + 1, asdict(scores))
            if (number + 1) % config.runtime.checkpoint_every == 0 or last:
                tensors = state.tensors()
                write_checkpoint(out, Checkpoint(number + 1, identity, time.monotonic() - started, tensors))
    hours = round((time.monotonic() - started) / 3600, 3)
    return _write_weights(
        state, config, out, {**facts, "identity": identity, "scores": _stated(scores), "hours": hours}
    )


def _stated(scores: SecondLookScores | None) -> dict[str, float | None] | None:
    """The scores as plain values, with null in place of nan."""
    return None if scores is None else {n: v if isfinite(v) else None for n, v in asdict(scores).items()}


def _examples_hash(refs: Sequence[ExampleRef]) -> str:
    names = "\n".join(f"{ref.path.name} {ref.index} {ref.true}" for ref in refs)
    return f"{len(refs)} examples, {hashlib.sha256(names.encode()).hexdigest()[:16]}"


@torch.inference_mode()
def validate_second_look(
    network: SecondLookNetwork, refs: Sequence[ExampleRef], config: SecondLookTraining
) -> SecondLookScores:
    """Scores on examples without random changes."""
    scores, losses, overlaps = [], [], []
    device = next(network.parameters()).device
    for ref in refs:
        x, present, true, truth = example_tensors([read_example(ref, mirrored=config.network.mirrored)], device)
        with autocast(config.runtime.precision, device):
            score, contour = network.look(x, present)
        losses.append(float(F.binary_cross_entropy_with_logits(score.float(), true)))
        scores.append(float(score[0].float()))
        if ref.true:
            mask = contour > 0.0
            both = float((mask * truth).sum())
            overlaps.append(2.0 * both / max(1.0, float(mask.sum() + truth.sum())))
    true_rows = np.array([ref.true for ref in refs], dtype=bool)
    positive = np.array(scores) >= 0.0
    return SecondLookScores(
        float(np.mean(losses)), _mean(positive[true_rows]), _mean(~positive[~true_rows]), _mean(np.array(overlaps))
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _write_weights(state: SecondLookState, config: SecondLookTraining, out: Path, facts: Mapping[str, object]) -> Path:
    card = {
        "architecture": architecture_of(config.network),
        "config": config.network.as_json(),
        "spacing_mm": config.spacing_mm,
        "patch": config.side,
        "threshold": 0.5,
        "training": json.loads(json.dumps(dict(facts), default=str)),
    }
    path = out / "weights.safetensors"
    sha256 = save_weights(path, state.averaged_network().state_dict(), card)
    write_atomically(out / "weights.json", (json.dumps({"sha256": sha256, **card}, indent=1) + "\n").encode())
    return path
