"""The design of the ablation: its arms, its cohorts, and the training of each arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adumbra.core.options import TrainedTarget
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.training.config import DataConfig, GuidanceConfig, OptimiserConfig, RuntimeConfig, TrainConfig
from adumbra.training.presets import TrainingPreset, config_for

ROWS = Path("docs/results/fusion-ablation")
RELEASED, BASELINE = "released", "early"
ARMS: Mapping[str, TrainingPreset] = {
    RELEASED: TrainingPreset(),
    BASELINE: TrainingPreset(),
    "late": TrainingPreset(fusion="late"),
    "attention": TrainingPreset(fusion="attention"),
    "constant": TrainingPreset(fusion="constant"),
    "shuffled": TrainingPreset(fusion="shuffled"),
    "uncertainty": TrainingPreset(fusion="uncertainty"),
    "oracle": TrainingPreset(fusion="oracle"),
    "crossmodal": TrainingPreset("crossmodal", fusion="uncertainty"),
    "joint-sharp": TrainingPreset(regulariser="joint"),
    "joint-uniform": TrainingPreset(regulariser="joint", blur="uniform"),
    "joint-shuffled": TrainingPreset(regulariser="joint", blur="shuffled"),
    "joint-focused": TrainingPreset(regulariser="joint", blur="focused"),
    "pretrain-sharp": TrainingPreset(regulariser="pretrain"),
    "pretrain-focused": TrainingPreset(regulariser="pretrain", blur="focused"),
    "weighted": TrainingPreset(uncertainty_loss="weighted"),
    "smoothed": TrainingPreset(uncertainty_loss="smoothed"),
    "diffusion": TrainingPreset("diffusion"),
}
"""The arms by name. ``released`` measures the released weights without further training."""

COHORTS: Mapping[TrainedTarget, tuple[int, str]] = {"lesion": (61, "diffusion"), "thrombus": (62, "multicentric")}
"""Seed and preset of each target's cohort. No released weights were trained on these patients."""


@dataclass(frozen=True)
class Ablation:
    """The options of a study of one target.

    Attributes:
        target: The segmented target.
        out: Folder for caches, first-pass networks and checkpoints.
        rows: Folder of the results.
        initial: Weights that every arm is fine-tuned from, by name or file; empty takes the released ones.
        from_scratch: Start from random weights, with networks of half the width.
        masks: Folder of masks of real lesions in MNI space; None simulates every shape.
        cases: Number of simulated patients.
        held_out: Number of them that are measured and not trained on.
        steps: Optimiser steps of each arm.
        threads: Number of processor threads.
    """

    target: TrainedTarget
    out: Path
    rows: Path = ROWS
    initial: str = ""
    from_scratch: bool = False
    masks: Path | None = None
    cases: int = 160
    held_out: int = 40
    steps: int = 200
    threads: int = 1

    @property
    def name(self) -> str:
        """The name of the study; trainings from scratch have tables of their own."""
        return f"{self.target}-from-scratch" if self.from_scratch else self.target

    @property
    def weights(self) -> str:
        """The weights that the arms are fine-tuned from."""
        return self.initial or self.target

    @property
    def folder(self) -> Path:
        """Where the arms are trained."""
        return self.out / self.name

    @property
    def first_pass(self) -> Path:
        """Where the arms share their first-pass networks and guidance maps."""
        return self.folder / "first"

    def row(self, arm: str, seed: int) -> Path:
        """The file with the results of an arm and a seed."""
        return self.rows / self.name / f"{arm}-{seed}.json"

    def cohort(self) -> list[PhantomRef]:
        """The simulated patients."""
        seed, preset = COHORTS[self.target]
        masks = lesion_mask_files(self.masks)
        return [PhantomRef(seed, number, masks, preset) for number in range(self.cases)]


def arm_config(ablation: Ablation, arm: str, seed: int) -> TrainConfig:
    """The training of an arm."""
    scratch = ablation.from_scratch
    config = config_for(
        ARMS[arm],
        ablation.target,
        data=DataConfig(batch=2, held_out=ablation.held_out, registration="never"),
        optimiser=OptimiserConfig(
            steps=ablation.steps,
            learning_rate=2e-3 if scratch else 5e-4,
            warmup=100 if scratch else 50,
            initial="" if scratch else ablation.weights,
        ),
        guidance=GuidanceConfig(folds=2, steps=ablation.steps if scratch else ablation.steps // 2, draws=2),
        seed=seed,
        runtime=RuntimeConfig(threads=ablation.threads, first_pass_dir=str(ablation.first_pass), validate_every=0),
    )
    # All arms omit modalities alike; the preset of early concatenation would do so from the first step on.
    config = replace(config, data=replace(config.data, missing_ramp=0.5))
    if not scratch:
        return config
    return replace(config, network=replace(config.network, widths=tuple(w // 2 for w in config.network.widths)))


def quarter_without_clot(cases: Sequence[PhantomRef], has_clot: Sequence[bool]) -> list[PhantomRef]:
    """All cases with a clot, and evenly spaced others, of which there are at most a quarter of the result.

    Args:
        cases: The cohort.
        has_clot: Whether each case has a clot.
    """
    without = [number for number, clot in enumerate(has_clot) if not clot]
    most = max(1, sum(has_clot) // 3)
    selected = {without[i * len(without) // most] for i in range(most)} if len(without) > most else set(without)
    return [case for number, case in enumerate(cases) if has_clot[number] or number in selected]
