"""A small synthetic result: an ellipsoid head with a lesion on the patient's left, and the values of its report."""

from collections.abc import Callable

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid, reorient
from adumbra.core.results import (
    Curves,
    Estimate,
    Findings,
    Maps,
    Region,
    RegionalUncertainty,
    RegionUncertainty,
    RunRecord,
    VolumeDraws,
)

NATIVE = Grid((36, 40, 14), np.array([[-4.0, 0, 0, 70], [0, -3.96, 1.4, 77], [0, -0.56, -9.9, 70], [0, 0, 0, 1]]))
"""A grid as scanners store it: axes towards left and back, oblique by 8 degrees, thick slices from top to bottom."""


@pytest.fixture
def native() -> Grid:
    return NATIVE


@pytest.fixture
def grid() -> Grid:
    return reorient(np.zeros(NATIVE.shape, dtype=bool), NATIVE)[1]


@pytest.fixture
def ball(grid: Grid) -> Callable[..., np.ndarray]:
    points = grid.world_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))

    def distance(centre_mm: tuple[float, float, float], radii_mm: tuple[float, float, float]) -> np.ndarray:
        """The distance from a centre in units of the radii: below 1 inside."""
        return np.sqrt((((points - np.array(centre_mm)) / np.array(radii_mm)) ** 2).sum(axis=-1))

    return distance


@pytest.fixture
def brain(ball: Callable[..., np.ndarray]) -> np.ndarray:
    return ball((0, 0, 5), (62, 74, 62)) < 1


@pytest.fixture
def maps(grid: Grid, ball: Callable[..., np.ndarray]) -> Maps:
    sharp = 1 / (1 + np.exp(8 * (ball((-32, 10, 15), (18, 20, 22)) - 1)))
    vague = 0.35 * np.exp(-(ball((36, -24, 5), (8, 8, 10)) ** 2))
    p = np.clip(sharp + vague, 1e-6, 1 - 1e-6)
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    epistemic = entropy * np.where(vague > sharp, 0.5, 0.15)
    as_volume = [np.asarray(v, dtype=np.float32) for v in (p, entropy, entropy - epistemic, epistemic, epistemic / 9)]
    return Maps("lesion", grid, *as_volume, mask=as_volume[0] >= np.float32(0.5), threshold=0.5, draws=20)


@pytest.fixture
def draws(maps: Maps) -> VolumeDraws:
    generator = np.random.default_rng(3)
    volume_ml = float(np.count_nonzero(maps.mask)) * maps.grid.voxel_ml
    volumes = tuple(float(v) for v in volume_ml * (1 + 0.12 * generator.standard_normal(20)))
    return VolumeDraws("lesion", volumes, tuple(int(n) for n in generator.integers(1, 4, 20)))


@pytest.fixture
def findings(maps: Maps, draws: VolumeDraws) -> Findings:
    def region(rank: int, centre_mm: tuple[float, float, float], side: str, inside: float) -> Region:
        i, j, k = (int(n) for n in np.round(maps.grid.index(np.array(centre_mm))))
        x, y, z = (float(v) for v in maps.grid.world_mm(np.array([i, j, k])))
        return Region(rank, 3.2 / rank, side, (x, y, z), (i, j, k), 0.5, 0.15 + 0.1 * rank, 0.4, inside)

    volume_ml = float(np.count_nonzero(maps.mask)) * maps.grid.voxel_ml
    low, high = (float(v) for v in np.quantile(draws.volumes_ml, [0.025, 0.975]))
    return Findings(
        "lesion",
        Estimate(volume_ml, low, high, 0.95, "ml"),
        Estimate(1.0, 1.0, 3.0, 0.95, "lesions"),
        (region(1, (-32, 30, 15), "left", 0.5), region(2, (36, -24, 5), "right", 0.0)),
        (),
        RegionalUncertainty(
            RegionUncertainty(volume_ml, (-31.0, 9.0, 14.0), 0.31, 0.91, volume_ml, 0.12, 1.0),
            (RegionUncertainty(volume_ml, (-32.0, 10.0, 15.0), float("nan"), 0.913, volume_ml, 0.123, 0.85),),
            5.0,
            20,
            20,
        ),
    )


@pytest.fixture
def curves() -> Curves:
    share, nothing = np.linspace(0.0, 1.0, 5), np.full(5, np.nan)
    return Curves((share, share**2), (share, share), (share, 0.01 * share**3), (share, nothing))


@pytest.fixture
def run() -> RunRecord:
    return RunRecord(
        command="adumbra predict sub-01 --out results",
        versions={"adumbra": "0.1.0", "numpy": "2.4.1"},
        seed=7,
        weights={"name": "lesion", "sha256": "ab" * 32},
        options={"draws": 20, "threshold": 0.5},
        conversions=(
            {"stage": "cases.nifti", "subject": "adc", "what": "ADC values multiplied by 0.001", "warning": False},
            {
                "stage": "preprocessing.alignment",
                "subject": "flair",
                "what": "moved by 2.1 mm and 1.4 degrees",
                "warning": True,
            },
        ),
        timings_s={"open": 0.4, "align": 3.25, "sample": 21.0},
        inputs={"dwi": "cd" * 32, "adc": "ef" * 32},
        outputs={},
    )
