"""Volumes by territory sum to the whole, whatever the orientation, and the side is right."""

import json

import numpy as np
import pytest

from adumbra.clinic.territories import OUTSIDE, TerritoryMap, territory_volumes
from adumbra.core.atlas.deformation import Deformation
from adumbra.core.atlas.territories import TERRITORY_LABELS
from adumbra.core.errors import GridMismatch, InputRejected, MissingInput
from adumbra.core.geometry.grid import Grid
from atlas_cases import AFFINE, GRID, IDENTITY, cube, oriented

PLACES = TerritoryMap.of(IDENTITY, GRID)
HAND_AREA, CALCARINE = (48, -12, 40), (8, -84, 4)
CODES = ("RAS", "LAS", "LPS", "PSR", "IAR", "SLA")


def volumes_of(*masks, places=PLACES):
    return territory_volumes(iter(masks), places)


def draws(result) -> dict[str, tuple[float, ...]]:
    return {name: row.draws for name, row in result.rows.items()}


def test_a_lesion_of_the_right_mca_lies_there_and_nowhere_else() -> None:
    mask = cube(HAND_AREA, 9)
    result = volumes_of(mask)
    whole = mask.sum() * 0.064
    assert result.whole.median == pytest.approx(whole)
    assert result.rows["MCA right"].median == pytest.approx(whole)
    assert sum(row.median for row in result.rows.values()) == pytest.approx(whole)
    assert result.affected_side == "right"
    assert result.side_probability == {"right": 1.0, "left": 0.0, "neither": 0.0}
    tissue = PLACES.tissue == TERRITORY_LABELS["MCA right"]
    assert result.mca_shares["right"].median == pytest.approx((mask & tissue).sum() / tissue.sum())
    assert result.mca_shares["left"].median == 0.0
    assert list(result.rows) == [*TERRITORY_LABELS, OUTSIDE]


@pytest.mark.parametrize("codes", CODES)
def test_the_rows_do_not_depend_on_the_orientation_of_the_grid(codes: str) -> None:
    mask = cube((20, -30, 20), 40)  # Across the midline, the ventricles, several territories and the surface.
    turned, grid = oriented(mask, codes)
    result, expected = volumes_of(turned, places=TerritoryMap.of(IDENTITY, grid)), volumes_of(mask)
    for name, values in draws(result).items():
        # The lattice of the deformation starts at another corner, which rounds a few voxels to other labels.
        assert values[0] == pytest.approx(draws(expected)[name][0], abs=0.3), name
    assert sum(values[0] for values in draws(result).values()) == pytest.approx(mask.sum() * 0.064)
    assert result.sides["right"].median == pytest.approx(expected.sides["right"].median, abs=0.3)
    assert expected.sides["right"].median > expected.sides["left"].median > 0


def test_the_mirrored_lesion_has_the_mirrored_rows() -> None:
    right, left = volumes_of(cube(HAND_AREA, 12)), volumes_of(cube((-48, -12, 40), 12))
    assert left.rows["MCA left"].median == pytest.approx(right.rows["MCA right"].median, rel=0.03)
    assert left.rows["MCA right"].median == 0.0
    assert left.affected_side == "left"
    assert left.sides["right"].median == 0.0


def test_a_lesion_half_and_half_is_divided_at_the_border_and_lies_in_the_border_zone() -> None:
    middle = (26, 10, 40)  # On the border of ACA and MCA.
    result = volumes_of(cube(middle, 6))
    both = result.rows["ACA right"].median, result.rows["MCA right"].median
    assert min(both) > 0.2 * sum(both)
    assert sum(both) == pytest.approx(result.whole.median)
    assert result.border_zone.median == pytest.approx(result.whole.median, rel=0.3)
    assert volumes_of(cube(HAND_AREA, 5)).border_zone.median == 0.0


def test_a_lesion_across_the_midline_has_no_affected_side() -> None:
    result = volumes_of(cube((0, 44, 24), 10))
    assert result.sides["right"].median == result.sides["left"].median == result.whole.median / 2
    assert result.affected_side == "neither"
    assert result.side_probability["neither"] == 1.0


def test_draws_have_medians_intervals_and_the_probability_of_the_side() -> None:
    masks = [cube(HAND_AREA, half) for half in (3, 5, 7, 9)] + [cube((-48, -12, 40), 5)]
    result = volumes_of(*masks)
    sizes = np.array([mask.sum() * 0.064 for mask in masks])
    assert result.rows["MCA right"].draws == pytest.approx([*sizes[:4], 0.0])
    assert result.rows["MCA right"].median == pytest.approx(np.median([*sizes[:4], 0.0]))
    assert result.whole.high == pytest.approx(np.quantile(sizes, 0.975))
    assert result.side_probability == pytest.approx({"right": 0.8, "left": 0.2, "neither": 0.0})
    assert result.rule_draws()["mca_share"] == pytest.approx(
        np.maximum(result.mca_shares["right"].draws, result.mca_shares["left"].draws)
    )
    assert territory_volumes(masks, PLACES, level=0.5).whole.high == pytest.approx(np.quantile(sizes, 0.75))


def test_the_whole_mca_territory_is_a_share_of_one_and_an_empty_mask_of_zero() -> None:
    whole = PLACES.tissue == TERRITORY_LABELS["MCA left"]
    result = volumes_of(whole, np.zeros(GRID.shape, bool))
    assert result.mca_shares["left"].draws == (1.0, 0.0)
    assert result.side_probability == {"right": 0.0, "left": 0.5, "neither": 0.5}
    empty = volumes_of(np.zeros(GRID.shape, bool))
    assert empty.whole.median == 0.0
    assert empty.affected_side == "neither"
    assert all(row.median == 0.0 for row in empty.rows.values())


def test_a_lesion_outside_the_atlas_has_its_own_row() -> None:
    mask = cube((70, -100, 60), 8)
    result = volumes_of(mask)
    assert result.rows[OUTSIDE].median == result.whole.median == pytest.approx(mask.sum() * 0.064)
    assert result.sides["right"].median == result.whole.median


def test_a_turned_and_scaled_head_has_the_volumes_of_its_own_voxels() -> None:
    to_mni = np.diag([1.2, 1.1, 1.05, 1.0])
    to_mni[:3, 3] = (3.0, -4.0, 2.0)
    head = Grid(GRID.shape, np.linalg.inv(to_mni) @ AFFINE)  # Its voxels lie where those of GRID lie in MNI152 space.
    places = TerritoryMap.of(Deformation(to_mni, IDENTITY.bending_mm), head)
    mask = cube(HAND_AREA, 9)
    assert volumes_of(mask, places=places).rows["MCA right"].median == pytest.approx(mask.sum() * head.voxel_ml)
    assert head.voxel_ml == pytest.approx(0.064 / (1.2 * 1.1 * 1.05))


def test_a_slab_without_the_mca_has_no_share_of_it() -> None:
    affine = AFFINE.copy()
    affine[2, 3] = -68.0
    slab = Grid((44, 50, 2), affine)
    result = volumes_of(np.ones(slab.shape, bool), places=TerritoryMap.of(IDENTITY, slab))
    assert np.isnan(result.mca_shares["right"].median)
    assert result.rule_draws() == {}
    assert json.loads(json.dumps(result.as_json(), allow_nan=False))["mca_shares"]["right"]["median"] is None


def test_the_json_has_plain_values() -> None:
    content = json.loads(json.dumps(volumes_of(cube(CALCARINE, 7)).as_json(), allow_nan=False))
    assert content["territories_ml"]["PCA right"]["median"] == pytest.approx(content["whole_ml"]["median"], rel=0.3)
    assert content["affected_side"] == "right"
    assert set(content["sides_ml"]) == {"right", "left"}


def test_no_draw_another_shape_and_a_wrong_level_are_refused() -> None:
    with pytest.raises(MissingInput, match="at least one draw"):
        volumes_of()
    with pytest.raises(GridMismatch, match=r"shape \(2, 2, 2\)"):
        volumes_of(np.ones((2, 2, 2), bool))
    with pytest.raises(InputRejected, match="level"):
        territory_volumes([cube(HAND_AREA, 5)], PLACES, level=1.0)
