"""A simple synthetic head whose brain is known exactly."""

from collections.abc import Callable

import nibabel
import numpy as np
import pytest

from adumbra.core.case import Case, Scan, scan_from_array
from adumbra.core.geometry.grid import Grid


@pytest.fixture(scope="session")
def grid_around() -> Callable[..., Grid]:
    """A function that returns a grid around the origin of the world, tilted about the left-right axis."""

    def build(shape, spacing_mm, tilt_deg=0.0):
        angle = np.radians(tilt_deg)
        turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        affine = np.eye(4)
        affine[:3, :3] = turn * np.asarray(spacing_mm)
        affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
        return Grid(shape, affine)

    return build


@pytest.fixture(scope="session")
def head() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """A function that returns a head of signal 700 in the brain, and the mask of that brain.

    Brain of about 1.4 l with a folded border, dark ventricles and two unequal nuclei; dark skull, scalp, eyes, neck; an
    infarct of about 170 ml, ``infarct`` times as bright; Rician noise. ``moving_from_fixed`` moves the head.
    """

    def build(grid, *, seed=0, scalp=0.35, infarct=1.0, inverted=False, noise=0.03, moving_from_fixed=None):
        index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
        at = grid.world_mm(index)
        if moving_from_fixed is not None:
            back = np.linalg.inv(moving_from_fixed)
            at = at @ back[:3, :3].T + back[:3, 3]
        x, y, z = np.moveaxis(at, -1, 0)
        waves = 2.5 * np.sin(x / 5.0 + y / 31) * np.sin(y / 6.0) * np.sin(z / 7.0 + x / 23)
        radius = np.linalg.norm(at / np.array([66.0, 82.0, 62.0]), axis=-1) * 70.0 + waves
        brain = radius < 70.0

        def ball(centre, radii):
            return (((at - np.asarray(centre)) / np.asarray(radii)) ** 2).sum(axis=-1) < 1.0

        values = np.zeros(grid.shape)
        values[(radius > 80.0) & (radius < 88.0)] = scalp
        values[ball((0, -10, -90), (50, 60, 30)) & (radius > 80)] = scalp
        for side in (-32.0, 32.0):
            values[ball((side, 78, -38), (12, 12, 12)) & ~brain] = 0.5
        values[brain] = 0.8 if inverted else 1.0
        values[brain & (radius > 62.0)] = 0.5 if inverted else 1.15
        values[ball((24, 20, 0), (10, 18, 14)) | ball((-26, -38, 4), (7, 12, 20))] = 1.2 if inverted else 0.7
        for side in (-12.0, 14.0):
            values[ball((side, 5, 8), (7, 30, 12))] = 1.6 if inverted else 0.3
        values[ball((-38, -5, 15), (22, 42, 38)) & brain & (infarct != 1.0)] = infarct
        real, imaginary = np.random.default_rng(seed).normal(0.0, noise, (2, *grid.shape))
        return np.hypot(values + real, imaginary).astype(np.float32) * np.float32(700.0), brain

    return build


@pytest.fixture(scope="session")
def isles(isles_case_dir) -> Case:
    """The real case, read without ``adumbra.cases``, so that this stage is tested alone."""

    def read(path, kind=np.float32) -> Scan:
        image = nibabel.load(path)
        data = image.get_fdata(dtype=np.float32)
        return scan_from_array(data > 0.5 if kind is bool else data, image.affine, source=path.name)

    stem = "sub-strokecase0009_ses-0001_"
    scans = {m: read(isles_case_dir / f"{stem}{m}.nii.gz") for m in ("dwi", "adc", "flair")}
    mask_path = isles_case_dir.parents[2] / "derivatives" / "sub-strokecase0009" / "ses-0001" / f"{stem}msk.nii.gz"
    return Case("sub-strokecase0009", scans, {"lesion": read(mask_path, bool)})
