"""The training loop: it starts or resumes a training, and ends with weights and their model card.

A step depends on the state before it and on its own number only: patches, augmentation and dropout are drawn from
``[seed, step]``. A training that was killed and resumed therefore reaches the same bits as one that was not.
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
from adumbra.core.progress import Progress, quiet
from adumbra.inference.device import select_device
from adumbra.networks.registry import architecture_of
from adumbra.networks.weights import save_weights
from adumbra.training.allocator import keep_freed_memory
from adumbra.training.augment import Augmentation, augment
from adumbra.training.cache import CaseSource, cache_cases
from adumbra.training.checkpoint import Checkpoint, locked, read_checkpoint, write_checkpoint
from adumbra.training.component_regions import with_regions
from adumbra.training.config import DataConfig, TrainConfig
from adumbra.training.context_files import write_contexts
from adumbra.training.crossfit import guided_cases
from adumbra.training.fitting import (
    FittedPosterior,
    independent_voxels,
    laplace_posterior,
    network_weights,
    swag_posterior,
    variational_posterior,
)
from adumbra.training.log import Log
from adumbra.training.patches import CachedCase, Patches, concatenate_patches, open_cached_case, sample_patch
from adumbra.training.requirements import require_consistent
from adumbra.training.state import State
from adumbra.training.validate import ValidationScores, validate

_SHARE_WITH_TARGET = 0.6  # Share of the patches from cases with a target; many cases have no clot, for example.

__all__ = ["TrainConfig", "Trained", "sample_batch", "train", "training_identity"]


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        weights: File of the weights.
        sha256: Hash of that file.
        scores: Scores on the held-out cases; None where there are none or they were not validated.
    """

    weights: Path
    sha256: str
    scores: ValidationScores | None


def train(cases: Sequence[CaseSource], out: str | Path, config: TrainConfig, *, progress: Progress = quiet) -> Trained:
    """Trains on all cases but the held-out ones of the fold; resumes where an earlier call on ``out`` was stopped.

    Writes ``out/cache/``, ``checkpoint.safetensors``, ``log.jsonl``, ``events/`` (TensorBoard), and at the end
    ``weights.safetensors`` with ``weights.json``, its model card.

    Args:
        cases: Cases with the masks of their targets (an empty mask where the target is absent).
        out: A folder for this training alone.
        config: The options.
        progress: Reports the preparation and the steps.

    Raises:
        InputRejected: There are too few cases, a case cannot be used, or the options contradict each other.
        OutputRefused: ``out`` holds another training, is in use, or cannot be written.
    """
    out = Path(out)
    require_consistent(len(cases), config)
    with locked(out):
        keep_freed_memory()
        if config.runtime.threads:
            torch.set_num_threads(config.runtime.threads)
        paths = cache_cases(cases, out / "cache", config.cache, workers=config.runtime.workers, progress=progress)
        if config.network.context:
            upstream = "upstream" in config.network.context
            write_contexts(cases, paths, config.cache, upstream=upstream, progress=progress)
        return _run(tuple(open_cached_case(path) for path in paths), out, config, progress)


def training_identity(cases: Sequence[CachedCase], config: TrainConfig) -> dict[str, object]:
    """The identity of a training: the options that its result depends on, and hashes of its cases."""
    names = hashlib.sha256("\n".join(case.name for case in cases).encode()).hexdigest()
    content = hashlib.sha256()
    for case in cases:
        content.update(repr((case.shape, case.present.tolist())).encode() + case.sites.tobytes())
    hashes = {"cases": f"{len(cases)} cases, {names[:16]}", "content": content.hexdigest()[:16]}
    return config.identity() | hashes


def _run(cases: tuple[CachedCase, ...], out: Path, config: TrainConfig, progress: Progress) -> Trained:
    identity = training_identity(cases, config)
    training, held_out = _split(cases, config.data)
    first_pass = None
    if config.guidance.guide != "none":
        folder = Path(config.runtime.first_pass_dir) if config.runtime.first_pass_dir else out / "first"
        train_first_pass = partial(_train_first_pass, progress=progress)
        training, held_out, first_pass = guided_cases(
            training, held_out, folder, config, train_first_pass, progress=progress
        )
    validated = held_out if config.runtime.validate_every else ()
    observations = independent_voxels(training) if config.posterior == "variational" else 1.0
    state = State(config, select_device(config.runtime.device), observations)
    done, seconds = 0, 0.0
    if (checkpoint := read_checkpoint(out, identity)) is not None:
        state.restore(checkpoint.tensors)
        done, seconds = checkpoint.step, checkpoint.seconds
    started = time.monotonic() - seconds
    with Log(out, done) as log:
        batches = progress.track(_batches(training, config, done), what="Training", total=config.optimiser.steps - done)
        for done in _steps(state, batches, validated, log):
            if done % config.runtime.checkpoint_every == 0 or done == config.optimiser.steps:
                write_checkpoint(out, Checkpoint(done, identity, time.monotonic() - started, state.tensors()))
        posterior = _fit_posterior(state, training)
        scores = validate(state.network_with(posterior.weights), validated, config) if validated else None
        if scores is not None:
            log.write(config.optimiser.steps, asdict(scores))
    if first_pass is not None and config.network.guidance_channels:
        write_atomically(out / "weights.first.safetensors", first_pass.read_bytes())
    return _write_weights(posterior, config, out, identity, scores, time.monotonic() - started)


def _split(cases: tuple[CachedCase, ...], data: DataConfig) -> tuple[tuple[CachedCase, ...], tuple[CachedCase, ...]]:
    """The training cases, and the held-out cases of the fold."""
    stop = len(cases) - data.fold * data.held_out
    start = stop - data.held_out
    return cases[:start] + cases[stop:], cases[start:stop]


def _steps(
    state: State, batches: Iterator[tuple[int, Patches]], validated: Sequence[CachedCase], log: Log
) -> Iterator[int]:
    """Does and logs the steps; yields the number of steps done after each."""
    config = state.config
    for number, batch in batches:
        done = number + 1
        log.write(done, state.step(number, batch))
        if validated and done % config.runtime.validate_every == 0 and done < config.optimiser.steps:
            log.write(done, asdict(validate(state.averaged_network(), validated, config)))
        yield done


def _train_first_pass(cases: tuple[CachedCase, ...], out: Path, config: TrainConfig, *, progress: Progress) -> Path:
    """Trains a first-pass network for ``crossfit``.

    A finished one is not written again, so that the hash of its file, and with it its predictions, stay valid.
    """
    with locked(out):
        weights, checkpoint = out / "weights.safetensors", read_checkpoint(out, training_identity(cases, config))
        if weights.is_file() and checkpoint is not None and checkpoint.step == config.optimiser.steps:
            return weights
        return _run(cases, out, config, progress).weights


def _fit_posterior(state: State, cases: Sequence[CachedCase]) -> FittedPosterior:
    """The weights, and the posterior that is fitted to them."""
    config = state.config
    if config.posterior == "variational":
        return variational_posterior(state.ema_weights)
    if config.posterior == "swag":
        return swag_posterior(state.snapshots, state.averaged_network())
    if config.posterior == "laplace":
        return laplace_posterior(
            state.averaged_network(),
            state.ema_weights,
            cases,
            side=config.data.patch,
            precision=config.runtime.precision,
        )
    return FittedPosterior(network_weights(state.ema_weights))


def _batches(cases: Sequence[CachedCase], config: TrainConfig, first: int) -> Iterator[tuple[int, Patches]]:
    """Numbers of steps and their batches; the next batch is sampled during the current step."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(sample_batch, cases, config, first)
        for number in range(first, config.optimiser.steps):
            batch = coming.result()
            if number + 1 < config.optimiser.steps:
                coming = pool.submit(sample_batch, cases, config, number + 1)
            yield number, batch


def sample_batch(cases: Sequence[CachedCase], config: TrainConfig, number: int) -> Patches:
    """Samples the batch of a step from ``[seed, number]`` alone; most patches are of cases with a target."""
    data, rng = config.data, np.random.default_rng([config.seed, number])
    with_target = [case for case in cases if len(case.ends)] or cases
    augmentation = ramp_up(data, number, config.optimiser.steps)
    # Generators of their own, so that trainings with and without mirror images or context inputs show the same patches.
    network = config.network
    mirror_rng = np.random.default_rng([config.seed, number, 3]) if network.mirrored else None
    context_rng = np.random.default_rng([config.seed, number, 4]) if network.context else None
    patches = []
    for _ in range(data.batch):
        pool = with_target if rng.random() < _SHARE_WITH_TARGET else cases
        case = pool[int(rng.integers(len(pool)))]
        patch = sample_patch(
            case,
            rng,
            side=data.patch,
            spacing_mm=data.spacing_mm,
            annotator=data.annotator,
            mirror_rng=mirror_rng,
            inputs=network.context,
            context_rng=context_rng,
        )
        patches.append(
            augment(
                patch,
                rng,
                modalities=network.modalities,
                augmentation=augmentation,
                mirror_rng=mirror_rng,
                inputs=network.context,
            )
        )
    return with_regions(concatenate_patches(patches), config.loss.kind)


def ramp_up(data: DataConfig, number: int, steps: int) -> Augmentation:
    """The augmentation of a step; the rate of omitted modalities rises over the training."""
    ramp = data.missing_ramp * steps
    share = min(1.0, number / ramp) if ramp else 1.0
    return replace(data.augmentation, missing=share * data.augmentation.missing)


def initial_weights(name: str) -> str:
    """The initial weights for the model card: a released name, or the hash of a file, whose path may identify."""
    path = Path(name)
    return f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}" if path.is_file() else name


def _write_weights(
    posterior: FittedPosterior,
    config: TrainConfig,
    out: Path,
    identity: Mapping[str, object],
    scores: ValidationScores | None,
    seconds: float,
) -> Trained:
    results = {} if scores is None else asdict(scores)
    training = {"hours": round(seconds / 3600, 3), "cpus": os.cpu_count(), "results": results, **identity}
    if config.optimiser.initial:
        training["optimiser"] = asdict(config.optimiser) | {"initial": initial_weights(config.optimiser.initial)}
    card = {
        "architecture": architecture_of(config.network),
        "config": config.network.as_json(),
        "spacing_mm": config.data.spacing_mm,
        "patch": config.data.patch,
        "threshold": config.threshold,
        "training": {k: v for k, v in training.items() if k != "network"},
        "posterior": posterior.card,
    }
    path = out / "weights.safetensors"
    sha256 = save_weights(path, posterior.stored, card)
    write_atomically(out / "weights.json", json.dumps({"sha256": sha256, **card}, indent=2).encode())
    return Trained(path, sha256, scores)
