"""The design of the study: its arms as plain data, its cohorts, and the training of each arm."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adumbra.core.targets import network_defaults
from adumbra.core.types import Target
from adumbra.networks.registry import ARCHITECTURES
from adumbra.networks.unet_config import UNetConfig
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.training.config import DataConfig, OptimiserConfig, RuntimeConfig, TrainConfig
from adumbra.training.loop import initial_weights
from adumbra.training.presets import TrainingPreset, config_for

ROWS = Path("docs/results/lesion-arms.jsonl")
PAGE = Path("docs/results/lesion-arms.md")
TARGET: Target = "lesion"
BASELINE = "baseline"
TRAINING_SEED = 84
"""Seed of the cohort that trains the arms."""
HELD_OUT_SEED = 85
"""Seed of the cohorts that measure them."""


@dataclass(frozen=True)
class Arm:
    """What an arm changes.

    Attributes:
        presets: Examination presets of the training phantoms; patients take them in turn.
        method: The training method, such as the loss.
        architecture: Name of the network, a key of ``networks.registry.ARCHITECTURES``.
        network: Fields of the network's config that differ from their defaults.
    """

    presets: tuple[str, ...] = ("diffusion",)
    method: TrainingPreset = field(default_factory=TrainingPreset)
    architecture: str = "unet"
    network: Mapping[str, object] = field(default_factory=dict)


ARMS: Mapping[str, Arm] = {
    BASELINE: Arm(),
    "component-tversky": Arm(method=TrainingPreset(loss="component-tversky")),
    "component-dice": Arm(method=TrainingPreset(loss="component-dice")),
    "dice-cross-entropy": Arm(method=TrainingPreset(loss="dice-cross-entropy")),
    "strided": Arm(architecture="strided-unet"),
    "strided-dice-cross-entropy": Arm(method=TrainingPreset(loss="dice-cross-entropy"), architecture="strided-unet"),
    "mirrored": Arm(network={"mirrored": True}),
    "coordinates": Arm(network={"context": ["coordinates"]}),
    "vessels": Arm(network={"context": ["vessels"]}),
    "physics": Arm(presets=("lesion-physics",)),
    "mixture": Arm(presets=("lesion-mixture",)),
    "both": Arm(presets=("lesion-both",)),
}
"""The arms by name. Beside ``baseline``, ``physics`` shows what the wider simulator brings without other contrasts."""


@dataclass(frozen=True)
class Study:
    """The options of a study.

    Attributes:
        out: Folder for caches, held-out phantoms, checkpoints and weights.
        rows: File of the results.
        cpu_seconds: CPU time of each training, in seconds; None where ``steps`` is the budget.
        steps: Number of optimiser steps of each training; None where CPU time is the budget.
        cases: Number of training patients.
        measured: Presets of the held-out phantoms.
        measured_cases: Number of held-out phantoms of each preset.
        masks: Folder of masks of real lesions in MNI space; None simulates every shape.
        patch: Side of a patch, in voxels.
        batch: Number of patches in a step.
        threads: Number of processor threads.
        workers: Number of processes that simulate.
        initial: Weights that every arm is fine-tuned from, a released name or a file; empty starts at random.
        learning_rate: Highest learning rate.
    """

    out: Path
    rows: Path = ROWS
    cpu_seconds: float | None = 600.0
    steps: int | None = None
    cases: int = 120
    measured: tuple[str, ...] = ("multicentric", "lesion-both")
    measured_cases: int = 40
    masks: Path | None = None
    patch: int = 48
    batch: int = 4
    threads: int = 1
    workers: int = 1
    initial: str = ""
    learning_rate: float = OptimiserConfig.learning_rate

    @property
    def budget(self) -> dict[str, object]:
        """What arms of one table have in common, as plain values."""
        return {
            "cpu_seconds": None if self.steps else self.cpu_seconds,
            "steps": self.steps,
            "cases": self.cases,
            "initial": initial_weights(self.initial) if self.initial else "",
            "learning_rate": self.learning_rate,
            "measured": dict.fromkeys(self.measured, self.measured_cases),
            "masks": self.masks is not None,
        }

    def patients(self, arm: Arm) -> list[PhantomRef]:
        """The training patients of an arm; patient n has the same seed in every arm."""
        masks, presets = lesion_mask_files(self.masks), arm.presets
        return [PhantomRef(TRAINING_SEED, n, masks, presets[n % len(presets)]) for n in range(self.cases)]


def network_of_arm(arm: Arm) -> UNetConfig:
    """The config of an arm's network.

    Raises:
        KeyError: There is no such architecture.
        TypeError: The config has no such field.
    """
    modalities = list(network_defaults(TARGET).modalities)
    values = {"modalities": modalities, "targets": [TARGET], **arm.network}
    return ARCHITECTURES[arm.architecture].config.from_json(values)


def arm_config(study: Study, arm: Arm, *, seed: int, steps: int) -> TrainConfig:
    """The training of an arm.

    Args:
        study: The options that all arms share.
        arm: The arm.
        seed: Seed of the training.
        steps: Number of optimiser steps.
    """
    return config_for(
        arm.method,
        TARGET,
        network=network_of_arm(arm),
        data=DataConfig(patch=study.patch, batch=study.batch, held_out=0, registration="never"),
        optimiser=OptimiserConfig(
            steps=steps,
            learning_rate=study.learning_rate,
            warmup=min(OptimiserConfig.warmup, steps // 4),
            initial=study.initial,
        ),
        seed=seed,
        runtime=RuntimeConfig(device="cpu", threads=study.threads, workers=study.workers, validate_every=0),
    )
