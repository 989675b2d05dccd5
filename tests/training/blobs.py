"""Synthetic cases for training: a box of noise with bright blobs, small enough to train on within seconds."""

from dataclasses import dataclass, fields, replace

import numpy as np

from adumbra.core.case import Case, Scan
from adumbra.core.geometry.grid import Grid
from adumbra.networks.unet_config import UNetConfig
from adumbra.training.config import DataConfig, LossConfig, OptimiserConfig, RuntimeConfig, TrainConfig

SIDE = 24


def blob_case(seed: int, *, side: int = SIDE, modalities: tuple[str, ...] = ("dwi", "adc"), lesions: int = 2) -> Case:
    """A brain of noise, with balls that are bright on DWI and dark on ADC, and the mask of the balls."""
    rng = np.random.default_rng(seed)
    grid = Grid((side, side, side), np.diag([2.0, 2.0, 2.0, 1.0]))
    index = np.indices(grid.shape)
    mask = np.zeros(grid.shape, dtype=bool)
    for _ in range(lesions):
        centre = rng.integers(7, side - 7, 3)
        mask |= ((index - centre[:, None, None, None]) ** 2).sum(axis=0) <= rng.integers(2, 5) ** 2
    brain = ((index - (side - 1) / 2) ** 2).sum(axis=0) < (side / 2 - 1) ** 2
    values = {"dwi": 100 + 200 * mask, "adc": 0.8 - 0.4 * mask, "b0": 300 + 0 * mask, "flair": 80 + 40 * mask}
    noise = {"dwi": 15, "adc": 0.05, "b0": 20, "flair": 10}
    scans = {m: values[m] + rng.normal(0, noise[m], grid.shape) for m in modalities}
    masked = {m: Scan((data * brain).astype(np.float32), grid, grid) for m, data in scans.items()}
    return Case(f"sub-{seed:03d}", masked, {"lesion": Scan(mask, grid, grid), "brain": Scan(brain, grid, grid)})


@dataclass(frozen=True)
class BlobRef:
    """A synthetic case that is opened like a file."""

    seed: int
    lesions: int = 2

    @property
    def name(self) -> str:
        return f"sub-{self.seed:03d}"

    def open(self) -> Case:
        return blob_case(self.seed, lesions=self.lesions)


TINY = TrainConfig(
    network=UNetConfig(modalities=("dwi", "adc"), widths=(8, 16), dropout=0.1),
    data=DataConfig(patch=16, batch=2, held_out=1),
    optimiser=OptimiserConfig(steps=6, warmup=2),
    runtime=RuntimeConfig(precision="f32", threads=1, workers=1, checkpoint_every=2, validate_every=100),
)


def tiny(**changes: object) -> TrainConfig:
    """A training of seconds; an option of its data, optimiser, loss or runtime may be given by its own name."""
    config = TINY
    for part, kind in {
        "data": DataConfig, "optimiser": OptimiserConfig, "loss": LossConfig, "runtime": RuntimeConfig,
    }.items():  # fmt: skip
        own = {f.name: changes.pop(f.name) for f in fields(kind) if f.name in changes}
        config = replace(config, **{part: replace(getattr(config, part), **own)})
    return replace(config, **changes)
