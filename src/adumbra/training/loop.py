"""The training: one function that begins, goes on where it was stopped, and ends with weights and their card.

A step depends on the state before it and on its own number only: patches, augmentation and dropout are drawn from
``[seed, step]``. So a training that was killed and resumed reaches the same bits as one that was not.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from adumbra.core.atomic_io import write_atomically
from adumbra.core.errors import InputRejected
from adumbra.core.progress import Progress, quiet
from adumbra.inference.device import chosen_device
from adumbra.networks.registry import architecture_of
from adumbra.networks.weights import save_weights
from adumbra.training.allocator import keep_freed_memory
from adumbra.training.augment import Augmentation, augmented
from adumbra.training.cache import CaseRef, cached
from adumbra.training.checkpoint import Checkpoint, locked, read_checkpoint, write_checkpoint
from adumbra.training.config import TrainConfig, network_for
from adumbra.training.crossfit import guided_cases
from adumbra.training.fitting import (
    FittedPosterior,
    independent_voxels,
    laplace,
    least_steps,
    own_weights,
    swag,
    variational,
)
from adumbra.training.log import Log
from adumbra.training.patches import CachedCase, Patches, concatenate_patches, open_cached_case, sample_patch
from adumbra.training.state import State
from adumbra.training.validate import ValidationScores, validate

_HOLDING = 0.6  # Of the patches; where two patients in three have no clot, batches of any would hardly hold one.

__all__ = ["TrainConfig", "Trained", "batch_of", "identity_of", "train"]


@dataclass(frozen=True)
class Trained:
    """What a training leaves: the weights file, its sha256, and how well it did on the held-out cases."""

    weights: Path
    sha256: str
    scores: ValidationScores | None


def train(cases: Sequence[CaseRef], out: Path, config: TrainConfig, *, progress: Progress = quiet) -> Trained:
    """Trains on all but the ``held_out`` cases of its fold; goes on where an earlier call on ``out`` was stopped.

    Writes ``out/cache/``, ``checkpoint.safetensors``, ``log.jsonl``, ``events/`` (TensorBoard), and at the end
    ``weights.safetensors`` with ``weights.json``, its card.

    Args:
        cases: With outlined targets (an empty mask where nothing was found).
        out: A folder for this training alone.
        config: See ``TrainConfig``.
        progress: Watches the preparation and the steps.

    Raises:
        InputRejected: Too few cases, or one that cannot be used.
        OutputRefused: ``out`` holds another training, is in use, or cannot be written.
    """
    _require_sensible(cases, config)
    with locked(out):
        keep_freed_memory()
        if config.threads:
            torch.set_num_threads(config.threads)
        paths = cached(cases, out / "cache", config.cache, workers=config.workers, progress=progress)
        ready = tuple(open_cached_case(path) for path in paths)
        return _run(ready, out, config, progress)


def _require_sensible(cases: Sequence[CaseRef], config: TrainConfig) -> None:
    if len(cases) <= (needed := config.held_out * (config.fold + 1)):
        raise InputRejected(
            "cases",
            expected=f"more than {needed}, for the {config.held_out} that are held out of fold {config.fold}",
            found=f"{len(cases)}",
            do="give more cases, or hold out fewer",
        )
    if (fitting := network_for(config.posterior, config.network)) != config.network:
        raise InputRejected(
            "posterior",
            expected=f"for {config.posterior}, a network with {fitting}",
            found=str(config.network),
            do="make its config with training.config.network_for",
        )
    if config.steps < (least := least_steps(config)):
        raise InputRejected(
            "steps",
            expected=f"at least {least} for {config.posterior}",
            found=str(config.steps),
            do="train longer; 0 steps are for --posterior laplace with --initial weights",
        )
    if (config.guide != "none") != config.uses_uncertainty:
        raise InputRejected(
            "guide",
            expected="a guide where the network, the blur or the loss asks for doubt, and none elsewhere",
            found=f"{config.guide}, {'asked for' if config.uses_uncertainty else 'nobody asks'}",
            do="give the guide uncertainty, or a network, blur and loss without doubt",
        )
    if config.patch % config.network.multiple:
        raise InputRejected(
            "patch",
            expected=f"a multiple of {config.network.multiple}, for {len(config.network.widths)} levels",
            found=str(config.patch),
            do="round it",
        )


def identity_of(cases: Sequence[CachedCase], config: TrainConfig) -> dict[str, object]:
    """What a training is: the options that its result depends on, and its data."""
    names = hashlib.sha256("\n".join(case.name for case in cases).encode()).hexdigest()
    content = hashlib.sha256()
    for case in cases:
        content.update(repr((case.shape, case.present.tolist())).encode() + case.sites.tobytes())
    told = {"data": f"{len(cases)} cases, {names[:16]}", "content": content.hexdigest()[:16]}
    return config.identity() | told


def _run(cases: tuple[CachedCase, ...], out: Path, config: TrainConfig, progress: Progress) -> Trained:
    stop = len(cases) - config.fold * config.held_out
    start = stop - config.held_out
    training, held_out = cases[:start] + cases[stop:], cases[start:stop]
    identity, first_reading = identity_of(cases, config), None
    if config.guide != "none":
        folder = Path(config.first_pass_dir) if config.first_pass_dir else out / "first"
        training, held_out, first_reading = guided_cases(
            training, held_out, folder, config, partial(_first, progress=progress), progress=progress
        )
    measured = held_out if config.validate_every else ()
    observations = independent_voxels(training) if config.posterior == "variational" else 1.0
    state = State(config, chosen_device(config.device), observations)
    first, before_s = 0, 0.0
    if (checkpoint := read_checkpoint(out, identity)) is not None:
        state.restore(checkpoint.tensors)
        first, before_s = checkpoint.step, checkpoint.seconds
    begun = time.monotonic() - before_s
    with Log(out, first) as log:
        batches = _batches(training, config, first)
        for number, batch in progress.track(batches, what="Training", total=config.steps - first):
            log.write(number + 1, state.step(number, batch))
            done = number + 1
            if measured and done % config.validate_every == 0 and done < config.steps:
                log.write(done, asdict(validate(state.averaged(), measured, config)))
            if done % config.checkpoint_every == 0 or done == config.steps:
                write_checkpoint(out, Checkpoint(done, identity, time.monotonic() - begun, state.tensors()))
        found = _fitted(state, training)
        network = state.holding(found.weights)
        scores = validate(network, measured, config) if measured else None
        if scores is not None:
            log.write(config.steps, asdict(scores))
    if first_reading is not None and config.network.guidance_channels:
        write_atomically(out / "weights.first.safetensors", first_reading.read_bytes())
    return _finished(found, config, out, identity, scores, time.monotonic() - begun)


def _first(cases: tuple[CachedCase, ...], out: Path, config: TrainConfig, *, progress: Progress) -> Path:
    """A first network, for ``crossfit``; one that is there stays as it is, so that its readings are known again."""
    with locked(out):
        made, checkpoint = out / "weights.safetensors", read_checkpoint(out, identity_of(cases, config))
        if made.is_file() and checkpoint is not None and checkpoint.step == config.steps:
            return made
        return _run(cases, out, config, progress).weights


def _fitted(state: State, cases: Sequence[CachedCase]) -> FittedPosterior:
    """The weights, and what the posterior draws from."""
    if state.config.posterior == "variational":
        return variational(state.ema_weights)
    if state.config.posterior == "swag":
        return swag(state.snapshots, state.averaged())
    if state.config.posterior == "laplace":
        return laplace(state.averaged(), state.ema_weights, cases, state.config)
    return FittedPosterior(own_weights(state.ema_weights))


def _batches(cases: Sequence[CachedCase], config: TrainConfig, first: int) -> Iterator[tuple[int, Patches]]:
    """Step numbers and their batches; the next is made while this one is trained on."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(batch_of, cases, config, first)
        for number in range(first, config.steps):
            batch = coming.result()
            if number + 1 < config.steps:
                coming = pool.submit(batch_of, cases, config, number + 1)
            yield number, batch


def batch_of(cases: Sequence[CachedCase], config: TrainConfig, number: int) -> Patches:
    """The batch of a step, drawn from ``[seed, number]`` alone; most patches are of cases that hold a target."""
    rng = np.random.default_rng([config.seed, number])
    holding = [case for case in cases if len(case.ends)] or cases
    patches, how = [], ramp_up(config, number)
    for _ in range(config.batch):
        pool = holding if rng.random() < _HOLDING else cases
        case = pool[int(rng.integers(len(pool)))]
        patch = sample_patch(case, rng, side=config.patch, spacing_mm=config.spacing_mm)
        patches.append(augmented(patch, rng, modalities=config.network.modalities, how=how))
    return concatenate_patches(patches)


def ramp_up(config: TrainConfig, number: int) -> Augmentation:
    """The augmentation of a step: modalities are left out the more often the further a training is."""
    ramp = config.missing_ramp * config.steps
    grown = min(1.0, number / ramp) if ramp else 1.0
    return replace(config.augmentation, missing=grown * config.augmentation.missing)


def _finished(
    found: FittedPosterior,
    config: TrainConfig,
    out: Path,
    identity: Mapping[str, object],
    scores: ValidationScores | None,
    seconds: float,
) -> Trained:
    results = {} if scores is None else asdict(scores)
    training = {"hours": round(seconds / 3600, 3), "cpus": os.cpu_count(), "results": results, **identity}
    about = {
        "architecture": architecture_of(config.network),
        "config": config.network.as_json(),
        "spacing_mm": config.spacing_mm,
        "patch": config.patch,
        "threshold": config.threshold,
        "training": {k: v for k, v in training.items() if k != "network"},
        "posterior": found.about,
    }
    path = out / "weights.safetensors"
    sha256 = save_weights(path, found.stored, about)
    write_atomically(out / "weights.json", json.dumps({"sha256": sha256, **about}, indent=2).encode())
    return Trained(path, sha256, scores)
