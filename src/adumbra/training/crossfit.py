"""Doubt for a guided training, out of fold: every case is read by a network that was not trained on it.

A network's maps of its own training cases are too sure, and a fusion that is trained on them learns nothing. So the
training cases are dealt into folds, a first network is trained on all but one of them, and reads that one. Cases that
are held out of the training are held out of all folds, and read by the first fold's network, which is also the one that
guides predictions. First networks, readings and maps are kept: what is there is not made again, and
all guides share the readings.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from adumbra.core.atomic_io import write_atomically
from adumbra.core.progress import Progress, quiet
from adumbra.fusion.guidance import binary_entropy_bits, control_guidance, near_uncertainty
from adumbra.networks.registry import load
from adumbra.networks.unet import UNet, UNetConfig
from adumbra.training.config import TrainConfig
from adumbra.training.patches import CachedCase
from adumbra.training.validate import predicted_volumes

Training = Callable[[tuple[CachedCase, ...], Path, TrainConfig], Path]
"""Trains on all the cases in a folder, goes on where it was stopped, and names the weights."""


# What a first network has in common with the guided one. All else is as it is in any training of a plain U-Net.
_SHARED = (
    "batch", "patch", "spacing_mm", "learning_rate", "warmup", "weight_decay", "clip", "ema_decay", "hard_voxel_fraction",
    "augmentation", "registration", "precision", "device", "threads", "workers", "checkpoint_every", "validate_every",
)  # fmt: skip


def first_config(config: TrainConfig) -> TrainConfig:
    """Of the first networks: plain U-Nets with dropout, of the same modalities and widths.

    They go on from the initial weights where these are a plain U-Net's, or have one for a first reading. Such weights
    must not have been trained on the cases: what they remember of them, no fold forgets.
    """
    network = config.network
    return TrainConfig(
        network=UNetConfig(network.modalities, network.targets, network.widths, network.dropout),
        posterior="dropout",
        initial=config.initial if config.initial and load(config.initial).plain is not None else "",
        steps=config.cross.steps,
        held_out=0,
        seed=config.cross.seed,
        **{name: getattr(config, name) for name in _SHARED},
    )


def guided_cases(
    training: Sequence[CachedCase],
    held_out: Sequence[CachedCase],
    folder: Path,
    config: TrainConfig,
    train: Training,
    *,
    progress: Progress = quiet,
) -> tuple[tuple[CachedCase, ...], tuple[CachedCase, ...], Path]:
    """The cases with what guides the network, and the weights of the first reading.

    Args:
        training: To be dealt into ``config.cross.folds``.
        held_out: Read by the first fold's network.
        folder: For the first networks and the maps; trainings that differ in the guide may share it.
        config: Of the guided training.
        train: Trains a first network.
        progress: Watches the reading.
    """
    first, folds = first_config(config), config.cross.folds
    weights = []
    for fold in range(folds):
        others = tuple(case for number, case in enumerate(training) if number % folds != fold)
        weights.append(train(others, folder / f"fold{fold}", first))
    networks = [load(path).network for path in weights]
    identity = json.dumps({"version": 2, **asdict(config.cross), "first": [load(w).card.sha256 for w in weights]})
    first_pass_draws, maps = folder / "readings", folder / f"maps-{config.guide}"
    for one in (first_pass_draws, maps):
        one.mkdir(parents=True, exist_ok=True)
    dealt = [(case, number % folds) for number, case in enumerate(training)] + [(case, 0) for case in held_out]
    made = []
    for case, fold in progress.track(dealt, what="Reading for doubt", total=len(dealt)):
        path = maps / case.path.name
        if not _is_made(path, identity):
            reading = first_pass_draws / case.path.name
            if not _is_made(reading, identity):
                write_atomically(reading, save(_read(networks[fold], case, first, config), {"identity": identity}))
            write_atomically(path, save({"guidance": _guiding(reading, case, config)}, {"identity": identity}))
        made.append(replace(case, guidance=path))
    return tuple(made[: len(training)]), tuple(made[len(training) :]), weights[0]


def _is_made(path: Path, identity: str) -> bool:
    try:
        with safe_open(path, framework="np") as file:
            return (file.metadata() or {}).get("identity") == identity
    except (OSError, SafetensorError):
        return False


def _guiding(reading: Path, case: CachedCase, config: TrainConfig) -> np.ndarray:
    """(1 + C, X, Y, Z), float16: what a reading is to a guide."""
    with safe_open(reading, framework="np") as file:
        maps = file.get_tensor("errors" if config.guide == "oracle" else "guidance").astype(np.float32)
    with safe_open(case.path, framework="np") as file:
        brain = file.get_tensor("brain").astype(bool)
    generator = np.random.default_rng([config.cross.seed, 1, *case.name.encode()])
    return control_guidance(maps, config.guide, within=brain, generator=generator).astype(np.float16)


def _read(network: UNet, case: CachedCase, first: TrainConfig, config: TrainConfig) -> dict[str, np.ndarray]:
    """Doubts and errors, (1 + C, X, Y, Z): of the mean of some draws, and of each modality alone, dropout off."""
    with safe_open(case.path, framework="np") as file:
        truth = file.get_tensor("labels")[0].astype(np.float32)
        brain = file.get_tensor("brain").astype(bool)
        channels = file.get_tensor("channels").astype(np.float32)
    generator = np.random.default_rng([config.cross.seed, *case.name.encode()])
    draws = [network.sample_dropout_masks(generator) for _ in range(config.cross.draws)]
    read = [np.mean([predicted_volumes(network, channels, case.present, brain, first, m)[0] for m in draws], axis=0)]
    near = near_uncertainty(binary_entropy_bits(read[0])) & brain
    for number, there in enumerate(case.present):
        alone = np.eye(len(case.present), dtype=np.float32)[number]
        seen, own = channels * alone[:, None, None, None], np.full_like(truth, 0.5)
        if there:
            own = predicted_volumes(network, seen, alone, near, first, overlap=0.0)[0]
        read.append(np.where(near, own, read[0]))
    maps = {"guidance": [binary_entropy_bits(p) for p in read], "errors": [np.abs(p - truth) for p in read]}
    return {name: np.stack(volumes).astype(np.float16) for name, volumes in maps.items()}
