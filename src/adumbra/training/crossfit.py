"""Cross-fitted guidance maps: every case is predicted by a network that was not trained on it.

A network is overconfident on its own training cases, and a fusion that is trained on such maps learns nothing. The
training cases are therefore split into folds; a first-pass network is trained on all folds but one and predicts that
one. Held-out cases are held out of all folds and predicted by the network of the first fold, which is also the one that
guides predictions later. First-pass networks, predictions and maps stay on disk and are not computed again; all guides
share the predictions.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from adumbra.core.atomic_io import write_atomically
from adumbra.core.legacy import current_folder, stored_name
from adumbra.core.progress import Progress, quiet
from adumbra.fusion.guidance import binary_entropy_bits, control_guidance, near_uncertainty
from adumbra.networks.registry import load
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig
from adumbra.training.config import GuidanceConfig, LossConfig, TrainConfig
from adumbra.training.patches import CachedCase
from adumbra.training.validate import predicted_volumes

FirstPassTraining = Callable[[tuple[CachedCase, ...], Path, TrainConfig], Path]
"""Trains a network on all cases in a folder, resuming where it was stopped, and returns the weights file."""


def first_pass_config(config: TrainConfig) -> TrainConfig:
    """The training of the first-pass networks: plain U-Nets with dropout, of the same modalities and widths.

    They are fine-tuned from the initial weights where these are a plain U-Net's or have a first-pass network. The
    initial weights must not have been trained on the cases, for cross-fitting cannot undo that.
    """
    network, initial = config.network, config.optimiser.initial
    usable = bool(initial) and load(initial).plain is not None
    return TrainConfig(
        network=UNetConfig(network.modalities, network.targets, network.widths, network.dropout),
        data=replace(config.data, held_out=0, fold=0, missing_ramp=0.0),
        optimiser=replace(config.optimiser, steps=config.guidance.steps, initial=initial if usable else ""),
        loss=LossConfig(hard_voxel_fraction=config.loss.hard_voxel_fraction),
        seed=config.guidance.seed,
        runtime=replace(config.runtime, first_pass_dir=""),
    )


def guided_cases(
    training: Sequence[CachedCase],
    held_out: Sequence[CachedCase],
    folder: Path,
    config: TrainConfig,
    train: FirstPassTraining,
    *,
    progress: Progress = quiet,
) -> tuple[tuple[CachedCase, ...], tuple[CachedCase, ...], Path]:
    """Adds guidance maps to the cases.

    Args:
        training: Cases that are split into ``config.guidance.folds`` folds.
        held_out: Cases that are predicted by the network of the first fold.
        folder: Folder of the first-pass networks and the maps; trainings that differ in the guide may share it.
        config: The guided training.
        train: Trains a first-pass network.
        progress: Reports the predictions.

    Returns:
        The training cases and the held-out cases with their maps, and the weights of the first fold's network.
    """
    first, folds = first_pass_config(config), config.guidance.folds
    weights = []
    for fold in range(folds):
        others = tuple(case for number, case in enumerate(training) if number % folds != fold)
        weights.append(train(others, folder / f"fold{fold}", first))
    networks = [load(path).network for path in weights]
    identity = _identity(config.guidance, weights)
    predictions, maps = current_folder(folder, "predictions"), folder / f"maps-{config.guidance.guide}"
    for subfolder in (predictions, maps):
        subfolder.mkdir(parents=True, exist_ok=True)
    assigned = [(case, number % folds) for number, case in enumerate(training)] + [(case, 0) for case in held_out]
    guided = []
    for case, fold in progress.track(assigned, what="Predicting the first pass", total=len(assigned)):
        path, prediction = maps / case.path.name, predictions / case.path.name
        if not _is_current(path, identity):
            if not _is_current(prediction, identity):
                arrays = _first_pass_maps(networks[fold], case, first, config.guidance)
                write_atomically(prediction, save(arrays, {"identity": identity}))
            guidance = _guidance_maps(prediction, case, config.guidance)
            write_atomically(path, save({"guidance": guidance}, {"identity": identity}))
        guided.append(replace(case, guidance=path))
    return tuple(guided[: len(training)]), tuple(guided[len(training) :]), weights[0]


def _identity(guidance: GuidanceConfig, weights: Sequence[Path]) -> str:
    """The options and networks that a prediction depends on; names and order are those of version 2 of the files."""
    options = {"folds": guidance.folds, "steps": guidance.steps, "draws": guidance.draws, "seed": guidance.seed}
    return json.dumps({"version": 2, **options, "first": [load(path).card.sha256 for path in weights]})


def _is_current(path: Path, identity: str) -> bool:
    try:
        with safe_open(path, framework="np") as file:
            return (file.metadata() or {}).get("identity") == identity
    except (OSError, SafetensorError):
        return False


def _guidance_maps(prediction: Path, case: CachedCase, guidance: GuidanceConfig) -> np.ndarray:
    """Guidance maps (1 + C, X, Y, Z), float16, of a first-pass prediction."""
    with safe_open(prediction, framework="np") as file:
        kind = "errors" if guidance.guide == "oracle" else "guidance"
        maps = file.get_tensor(stored_name("guidance", kind, file.keys())).astype(np.float32)
    with safe_open(case.path, framework="np") as file:
        brain = file.get_tensor("brain").astype(bool)
    generator = np.random.default_rng([guidance.seed, 1, *case.name.encode()])
    return control_guidance(maps, guidance.guide, within=brain, generator=generator).astype(np.float16)


def _first_pass_maps(
    network: UNet, case: CachedCase, first: TrainConfig, guidance: GuidanceConfig
) -> dict[str, np.ndarray]:
    """Uncertainties and errors of the first pass, each (1 + C, X, Y, Z), float16.

    The first map is of the mean of several draws. Each of the others is of one modality alone, without dropout.
    """
    with safe_open(case.path, framework="np") as file:
        truth = file.get_tensor("labels")[0].astype(np.float32)
        brain = file.get_tensor("brain").astype(bool)
        channels = file.get_tensor("channels").astype(np.float32)
    predict = partial(predicted_volumes, network, side=first.data.patch, precision=first.runtime.precision)
    generator = np.random.default_rng([guidance.seed, *case.name.encode()])
    masks = [network.sample_dropout_masks(generator) for _ in range(guidance.draws)]
    draws = [predict(channels, case.present, brain, masks=m)[0] for m in masks]
    probabilities = [np.mean(draws, axis=0)]
    near = near_uncertainty(binary_entropy_bits(probabilities[0])) & brain
    for number, present in enumerate(case.present):
        only = np.eye(len(case.present), dtype=np.float32)[number]
        own = np.full_like(truth, 0.5)
        if present:
            channel = channels * only[:, None, None, None]
            own = predict(channel, only, near, overlap=0.0)[0]
        probabilities.append(np.where(near, own, probabilities[0]))
    maps = {
        "guidance": [binary_entropy_bits(p) for p in probabilities],
        "errors": [np.abs(p - truth) for p in probabilities],
    }
    return {name: np.stack(volumes).astype(np.float16) for name, volumes in maps.items()}
