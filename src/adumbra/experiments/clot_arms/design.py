"""The training of the thrombus network on kept heads: its cases, its config, and the arms as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adumbra.core.atlas.head_context import ContextInput
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import STRUCTURES, Structure, Target
from adumbra.networks.strided import StridedUNetConfig
from adumbra.simulation.clot_patches import MODALITIES, ClotPatch, keep_heads
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.training.cache import CaseSource
from adumbra.training.config import DataConfig, LossConfig, OptimiserConfig, RuntimeConfig, TrainConfig

HEADS_SEED, PATCHES_SEED, CLOTS_SEED, NATURAL_SEED = 91, 92, 93, 94
TARGETS: tuple[Target | Structure, ...] = ("thrombus", *STRUCTURES)
SIDE_MM, HARD_VOXELS = 40.0, 0.001
BASELINE = "none"


@dataclass(frozen=True)
class ClotArm:
    """What a network takes beside the images.

    Attributes:
        mirrored: Whether it takes the mirrored hemisphere.
        context: Its context inputs.
    """

    mirrored: bool = False
    context: tuple[ContextInput, ...] = ()


ARMS: Mapping[str, ClotArm] = {
    BASELINE: ClotArm(),
    "mirrored": ClotArm(mirrored=True),
    "coordinates": ClotArm(context=("coordinates",)),
    "vessels": ClotArm(context=("vessels",)),
    "upstream": ClotArm(context=("upstream",)),
}
"""The arms by name."""


@dataclass(frozen=True)
class ClotStudy:
    """The cases of a training, and the options that all arms share.

    Attributes:
        work: Folder of heads and of prepared cases.
        out: Folder of trainings, held-out phantoms and rows.
        masks: Folder of lesion masks in MNI space; None simulates every shape.
        heads: Number of heads.
        patches: Number of patches.
        cases: Number of whole heads, half of them with several clots.
        cpu_seconds: CPU time of each training.
        measured_cases: Number of held-out phantoms.
        loss: See ``training.options.LossKind``.
        threads: Number of processor threads.
    """

    work: Path
    out: Path
    masks: Path | None = None
    heads: int = 60
    patches: int = 3000
    cases: int = 40
    cpu_seconds: float = 1800.0
    measured_cases: int = 40
    loss: LossConfig = field(default_factory=lambda: LossConfig(hard_voxel_fraction=HARD_VOXELS))
    threads: int = 1

    @property
    def rows(self) -> Path:
        """File of the results."""
        return self.out / "rows.jsonl"

    @property
    def budget(self) -> dict[str, object]:
        """What arms of one table have in common, as plain values."""
        return {
            "cpu_seconds": self.cpu_seconds,
            "patches": self.patches,
            "heads": self.heads,
            "cases": self.cases,
            "measured": self.measured_cases,
            "masks": self.masks is not None,
            "loss": self.loss.kind,
        }

    def cache_folder(self, *, mirrored: bool) -> Path:
        """Folder of the prepared cases; those with the other side of the head have a folder of their own."""
        return self.work / ("cache-mirrored" if mirrored else "cache")

    def sources(self, *, progress: Progress = quiet) -> list[CaseSource]:
        """The training cases: patches of kept heads, then whole heads. Heads that are missing are simulated."""
        masks = lesion_mask_files(self.masks)
        names = keep_heads(
            self.work / "heads", seed=HEADS_SEED, count=self.heads, lesion_masks=masks, progress=progress
        )
        half = self.cases // 2
        cases: list[CaseSource] = [
            ClotPatch(self.work / "heads", names, PATCHES_SEED, n, SIDE_MM) for n in range(self.patches)
        ]
        cases += [PhantomRef(CLOTS_SEED, n, masks, "clots") for n in range(half)]
        return cases + [PhantomRef(NATURAL_SEED, n, masks, "emergency") for n in range(self.cases - half)]


def arm_config(study: ClotStudy, arm: ClotArm, *, seed: int, steps: int) -> TrainConfig:
    """The training of an arm.

    Args:
        study: The options that all arms share.
        arm: What the network takes.
        seed: Seed of the training.
        steps: Number of optimiser steps.
    """
    return TrainConfig(
        network=StridedUNetConfig(MODALITIES, TARGETS, dropout=0.0, mirrored=arm.mirrored, context=arm.context),
        data=DataConfig(spacing_mm=1.0, patch=48, batch=4, held_out=0, registration="never"),
        optimiser=OptimiserConfig(steps=steps, warmup=min(OptimiserConfig.warmup, steps // 4)),
        loss=study.loss,
        posterior="deterministic",
        seed=seed,
        runtime=RuntimeConfig(device="cpu", threads=study.threads, workers=study.threads, validate_every=0),
    )
