"""The artery of a clot on heads whose place in MNI152 space is known, with its side, certainty and code."""

import json

import numpy as np
import pytest

from adumbra.clinic.clot_artery import (
    CATEGORIES,
    NO_ARTERY,
    ClotArtery,
    category,
    clot_artery,
    site_code,
)
from adumbra.clinic.rules.case_values import case_values
from adumbra.core.atlas.deformation import DEGREES, Deformation
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid

FLAT = np.zeros((3, len(DEGREES)))
PLACES = {
    "M1": ((28, 4, -15), "proximal", "m1"),
    "ICA": ((13, 3, -22), "proximal", "ica_intracranial"),
    "basilar": ((0, -22, -38), "proximal", "basilar"),
    "A2": ((3, 32, -2), "distal", "aca"),
    "P2": ((18, -32, -8), "distal", "pca"),
}


def head(*, mirror=False):
    """A grid of 2 mm around the circle of Willis, in subject mm that differ from MNI152 mm by an affine map."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (-60, -60, -70)
    to_mni = np.array([[1.08, 0.05, 0.0, 3.0], [-0.04, 0.95, 0.1, -5.0], [0.02, -0.1, 1.04, 4.0], [0, 0, 0, 1.0]])
    if mirror:
        to_mni = np.diag([-1.0, 1.0, 1.0, 1.0]) @ to_mni
    grid = Grid((62, 60, 50), np.linalg.inv(to_mni) @ affine)
    return grid, Deformation(to_mni, FLAT), affine


def clot_at(point, grid, affine, *, along=(1, 0, 0), length=8.0):
    mask = np.zeros(grid.shape, dtype=bool)
    for step in np.arange(-length / 2, length / 2 + 0.1, 2.0):
        place = np.array(point) + step * np.array(along)
        mask[tuple(np.rint(np.linalg.inv(affine)[:3, :3] @ (place - affine[:3, 3])).astype(int))] = True
    return mask


@pytest.mark.parametrize("name", PLACES)
def test_a_clot_is_named_where_it_lies(name) -> None:
    point, kind, code = PLACES[name]
    grid, deformation, affine = head()
    along = {"ICA": (0, 0, 1), "basilar": (0, 0, 1), "A2": (0, 1, 0), "P2": (0, 1, 0)}.get(name, (1, 0, 0))
    result = clot_artery([clot_at(point, grid, affine, along=along)], grid, deformation)
    assert result.best == (name if name == "basilar" else f"{name} right")
    assert sum(result.probabilities.values()) == pytest.approx(1.0)
    assert sum(result.categories.values()) == pytest.approx(1.0, abs=1e-6)
    assert max(CATEGORIES, key=result.categories.__getitem__) == kind == category(result.best)
    assert site_code(result.best, z_mm=result.z_mm) == code


def test_left_and_right_change_places_in_the_mirrored_head() -> None:
    grid, deformation, affine = head()
    mask = clot_at((28, 4, -15), grid, affine)
    right = clot_artery([mask], grid, deformation)
    left = clot_artery([mask], grid, head(mirror=True)[1])
    assert (right.best, left.best) == ("M1 right", "M1 left")
    swapped = {name.replace("left", "right"): p for name, p in left.probabilities.items()}
    for name, probability in right.probabilities.items():
        assert swapped[name] == pytest.approx(probability, abs=0.02)


def test_the_proximal_artery_names_a_clot_that_reaches_beyond_it() -> None:
    grid, deformation, affine = head()
    mask = clot_at((30, 4, -15), grid, affine, length=10.0) | clot_at((38, 10, -4), grid, affine, along=(0, 0, 1))
    assert clot_artery([mask], grid, deformation).best == "M1 right"


def test_the_draws_share_the_probability() -> None:
    grid, deformation, affine = head()
    m1, basilar = clot_at((28, 4, -15), grid, affine), clot_at((0, -22, -38), grid, affine, along=(0, 0, 1))
    nothing = np.zeros(grid.shape, dtype=bool)
    result = clot_artery(iter([m1, basilar, nothing]), grid, deformation)
    assert result.probabilities["basilar"] == pytest.approx(0.5, abs=0.05)
    assert not result.is_sure
    assert result.sentence().startswith("Uncertain between ")
    assert "basilar" in result.sentence()
    assert "M1 right" in result.sentence()
    assert result.site is None
    assert result.rule_values() == {}
    json.dumps(result.as_json())


def test_a_sure_site_is_known_to_the_rules() -> None:
    for name in ("M1 left", "M2 superior left", "M3 right", "A1 left", "basilar", "ICA right"):
        result = ClotArtery({name: 0.9, "SCA left": 0.1}, -14.0)
        assert result.is_sure
        assert result.sentence() == f"The clot lies in: {name} (90 %)."
        assert case_values(result.rule_values()).known["occlusion_site"] == result.site
    both = ClotArtery({"M2 superior left": 0.5, "M2 inferior left": 0.45, "M1 left": 0.05}, 0.0)
    assert not both.is_sure
    assert both.site == "m2"
    assert site_code("ICA left", z_mm=-60.0) == "ica"
    assert site_code("SCA left", z_mm=-20.0) is None


def test_nothing_is_named_far_from_all_arteries_of_the_atlas() -> None:
    grid, _, affine = head()
    far = np.eye(4)
    far[2, 3] = 400.0
    result = clot_artery([clot_at((28, 4, -15), grid, affine)], grid, Deformation(far, FLAT))
    assert result.probabilities == {NO_ARTERY: 1.0}
    assert result.site is None
    assert category(result.best) == ""


def test_masks_must_hold_a_clot_on_the_grid() -> None:
    grid, deformation, _ = head()
    with pytest.raises(MissingInput):
        clot_artery([np.zeros(grid.shape, dtype=bool)], grid, deformation)
    with pytest.raises(GridMismatch):
        clot_artery(iter([np.ones((2, 2, 2), dtype=bool)]), grid, deformation)
