"""The midsagittal plane follows the brain, wherever the origin of the scanner is and however the head lies."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid, reorient
from adumbra.core.geometry.midline import TOLERANCE_MM, midsagittal_plane, side


def turned(yaw_deg: float, roll_deg: float) -> np.ndarray:
    a, b = np.radians([yaw_deg, roll_deg])
    yaw = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    roll = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    return yaw @ roll


def head(centre_mm: tuple[float, float, float], *, yaw_deg: float = 0, roll_deg: float = 0) -> tuple[np.ndarray, Grid]:
    """An ellipsoid of a brain's size on a grid of 4 mm around the scanner's zero, and its grid."""
    grid = Grid((60, 64, 48), np.array([[4, 0, 0, -118], [0, 4, 0, -126], [0, 0, 4, -94], [0, 0, 0, 1]], dtype=float))
    points = grid.world_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    own = (points - np.array(centre_mm)) @ turned(yaw_deg, roll_deg)
    return ((own / (65, 85, 60)) ** 2).sum(axis=-1) <= 1, grid


def test_the_plane_of_a_brain_off_centre() -> None:
    plane = midsagittal_plane(*head((13, -5, 4)))
    assert plane.normal == pytest.approx((1, 0, 0), abs=0.02)
    assert plane.distances_mm(np.array([[13.0, 20.0, 4.0], [33.0, 20.0, 4.0], [-7.0, 0.0, 0.0]])) == pytest.approx(
        [0, 20, -20], abs=1.0
    )


@pytest.mark.parametrize(("yaw_deg", "roll_deg"), [(5, 0), (0, -7), (6, 6)])
def test_a_turned_head_turns_the_plane(yaw_deg: float, roll_deg: float) -> None:
    plane = midsagittal_plane(*head((-8, 0, 6), yaw_deg=yaw_deg, roll_deg=roll_deg))
    brain_right = turned(yaw_deg, roll_deg)[:, 0]
    assert np.degrees(np.arccos(np.clip(np.dot(plane.normal, brain_right), -1, 1))) < 1.0
    assert plane.distances_mm(np.array([[-8.0, 0.0, 6.0]])) == pytest.approx([0], abs=0.5)


def test_a_damaged_mask_does_not_move_the_plane() -> None:
    brain, grid = head((0, 0, 0))
    bitten = brain.copy()
    bitten[38:, 30:42, 26:34] = False  # 48 mm of one hemisphere's cortex, as a bright lesion may cost a brain mask
    ahead = np.array([[0.0, 0.0, 0.0], [0.0, 30.0, 0.0], [0.0, 0.0, 30.0]])
    assert np.abs(midsagittal_plane(bitten, grid).distances_mm(ahead)).max() < 2.0


def test_sides_are_those_of_the_patient() -> None:
    plane = midsagittal_plane(*head((13, 0, 0)))
    assert side(np.array([[40.0, 0.0, 0.0]]), plane) == "right"
    assert side(np.array([[5.0, 0.0, 0.0]]), plane) == "left"  # on the scanner's right, yet left of this brain's middle
    assert side(np.array([[13.0 + 0.5 * TOLERANCE_MM, 0.0, 0.0]]), plane) == "midline"
    assert side(np.array([[-27.0, 0.0, 0.0], [53.0, 0.0, 0.0]]), plane) == "midline"  # across both halves


def test_a_brain_of_one_voxel_gives_the_plane_through_it() -> None:
    brain = np.zeros((5, 5, 5), dtype=bool)
    brain[3, 2, 2] = True
    plane = midsagittal_plane(brain, Grid((5, 5, 5), np.eye(4)))
    assert plane.distances_mm(np.array([[3.0, 2.0, 2.0]])) == pytest.approx([0], abs=0.5)


def test_without_a_brain_there_is_no_plane() -> None:
    grid = Grid((3, 3, 3), np.eye(4))
    with pytest.raises(MissingInput, match="brain"):
        midsagittal_plane(np.zeros((3, 3, 3), dtype=bool), grid)
    with pytest.raises(GridMismatch, match="brain"):
        midsagittal_plane(np.ones((3, 3, 2), dtype=bool), grid)


def test_the_real_left_sided_stroke_is_on_the_left() -> None:
    """The README of the real case states: 21 emboli of the left middle cerebral artery."""
    case = Path(__file__).parents[3] / "../shared/data/isles22"
    if not case.exists():
        pytest.skip("the real ISLES'22 case is not on this machine")
    dwi, mask = (nib.load(next(case.rglob(f"*_{kind}.nii.gz"))) for kind in ("dwi", "msk"))
    native = Grid(dwi.shape, dwi.affine.astype(np.float64))
    data, grid = reorient(np.asarray(dwi.dataobj, dtype=np.float32), native)
    lesion = reorient(np.asarray(mask.dataobj) > 0.5, native)[0]
    brain = data > 0.1 * np.quantile(data, 0.99)
    assert side(grid.world_mm(np.argwhere(lesion)), midsagittal_plane(brain, grid)) == "left"
