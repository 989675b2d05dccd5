"""A crude head, drawn by formula, whose brain is known exactly."""

from collections.abc import Callable

import numpy as np
import pytest

from adumbra.space.grid import Grid

SHARED = "../shared/data"


def centred_grid(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], tilt_deg: float = 0.0) -> Grid:
    """A grid around the world's origin, tilted about the left-right axis."""
    angle = np.radians(tilt_deg)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = turn * np.asarray(spacing_mm)
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Grid(shape, affine)


def _ball(at: np.ndarray, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    return (((at - np.asarray(centre)) / np.asarray(radii)) ** 2).sum(axis=-1) < 1.0


Head = Callable[..., tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="session")
def head() -> Head:
    return drawn_head


def drawn_head(
    grid: Grid,
    *,
    seed: int = 0,
    scalp: float = 0.35,
    infarct: float = 1.0,
    inverted: bool = False,
    noise: float = 0.03,
    moving_from_fixed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A head of signal 1 in the brain, and the mask of that brain.

    Brain with folded border and dark ventricles, dark skull, scalp, two eyes and a neck; an infarct of about 200 ml
    ``infarct`` times as bright; Rician noise. ``moving_from_fixed`` draws the head where that transform puts it.
    """
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    at = grid.world_mm(index)
    if moving_from_fixed is not None:
        back = np.linalg.inv(moving_from_fixed)
        at = at @ back[:3, :3].T + back[:3, 3]
    waves = 2.0 * np.sin(at[..., 0] / 5.0) * np.sin(at[..., 1] / 6.0) * np.sin(at[..., 2] / 7.0)
    radius = np.linalg.norm(at / np.array([66.0, 82.0, 62.0]), axis=-1) * 70.0 + waves
    brain = radius < 70.0
    values = np.zeros(grid.shape)
    values[(radius > 80.0) & (radius < 88.0)] = scalp
    values[_ball(at, (0, -10, -90), (50, 60, 30)) & (radius > 80)] = scalp
    for side in (-32.0, 32.0):
        values[_ball(at, (side, 78, -38), (12, 12, 12)) & ~brain] = 0.5
    values[brain] = 0.8 if inverted else 1.0
    grey = brain & (radius > 62.0)
    values[grey] = 0.5 if inverted else 1.15
    for side in (-14.0, 14.0):
        values[_ball(at, (side, 5, 5), (9, 30, 12))] = 1.6 if inverted else 0.3
    values[_ball(at, (-35, -5, 15), (26, 45, 40)) & brain] = infarct
    generator = np.random.default_rng(seed)
    real, imaginary = generator.normal(0.0, noise, (2, *grid.shape))
    return np.hypot(values + real, imaginary).astype(np.float32) * 700.0, brain
