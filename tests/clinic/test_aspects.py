"""Scores of lesions whose regions are known."""

import json

import numpy as np
import pytest

from adumbra.clinic.aspects import INFRATENTORIAL_SHARE, INVOLVED_SHARE, LIMITS, AspectsDraws, RegionMap, aspects
from adumbra.clinic.territories import TerritoryMap
from adumbra.core.atlas.aspects import ASPECTS_REGIONS, REGIONS, SIDED_REGIONS
from adumbra.core.atlas.territories import TERRITORY_LABELS
from adumbra.core.errors import GridMismatch, InputRejected, MissingInput
from adumbra.core.geometry.grid import Grid
from atlas_cases import AFFINE, GRID, IDENTITY, oriented

PLACES = RegionMap.of(IDENTITY, GRID)


def whole(*names: str, labels=PLACES.labels) -> np.ndarray:
    return np.isin(labels, [SIDED_REGIONS.index(name) for name in names])


def part(name: str, voxels: int) -> np.ndarray:
    """The first voxels of a region."""
    mask = np.zeros(GRID.shape, bool)
    mask.flat[np.flatnonzero(whole(name))[:voxels]] = True
    return mask


def row(result, region: str, side: str = "right"):
    return next(r for r in result.regions if (r.region, r.side) == (region, side))


def test_without_a_lesion_both_scores_are_full() -> None:
    result = aspects([np.zeros(GRID.shape, bool)], PLACES)
    assert result.score.distribution.median == result.pc_score.distribution.median == 10.0
    assert result.side_probability == {"right": 0.0, "left": 0.0, "neither": 1.0}
    assert result.score.probabilities == (0.0,) * 10 + (1.0,)
    assert result.notes() == ()
    assert len(result.regions) == 28


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("region", ASPECTS_REGIONS)
def test_each_region_costs_one_point_of_its_side(region: str, side: str) -> None:
    result = aspects([whole(f"{region} {side}")], PLACES)
    other = {"right": "left", "left": "right"}[side]
    assert result.score.distribution.median == result.sides[side].distribution.median == 9.0
    assert result.sides[other].distribution.median == result.pc_score.distribution.median == 10.0
    assert [(r.region, r.side) for r in result.regions if r.probability == 1.0] == [(region, side)]
    assert row(result, region, side).share.median == 1.0


@pytest.mark.parametrize(
    ("names", "expected"),
    [(("pons",), 8), (("midbrain",), 8), (("thalamus left",), 9), (("PCA right", "cerebellum left"), 8),
     (("pons", "midbrain", *(f"{n} {s}" for n in ("thalamus", "cerebellum", "PCA") for s in ("right", "left"))), 0)],
)  # fmt: skip
def test_regions_of_the_posterior_circulation_cost_their_points(names: tuple[str, ...], expected: int) -> None:
    result = aspects([whole(*names)], PLACES)
    assert result.pc_score.distribution.median == expected
    assert result.score.distribution.median == 10.0


def test_a_region_is_involved_from_the_limit_on() -> None:
    size = int(whole("M5 right").sum())
    least = int(np.ceil(INVOLVED_SHARE * size))
    shares = [row(aspects([part("M5 right", n)], PLACES), "M5").probability for n in (least - 1, least)]
    assert shares == [0.0, 1.0]
    pons = int(np.ceil(INFRATENTORIAL_SHARE * whole("pons").sum()))
    scores = [aspects([part("pons", n)], PLACES).pc_score.distribution.median for n in (pons - 1, pons)]
    assert scores == [10.0, 8.0]
    half = AspectsDraws(PLACES, limits={"M5": 0.5})
    for n in (size // 2 + 1, size // 2 - 1):
        half.add(part("M5 right", n))
    assert row(half.result(), "M5").probability == 0.5


def test_a_lesion_of_exactly_the_limit_is_involved() -> None:
    labels = np.zeros((5, 2, 1), np.int16)
    labels[:] = SIDED_REGIONS.index("C left")
    grid = Grid((5, 2, 1), np.eye(4))
    mask = np.zeros(grid.shape, bool)
    mask[0] = True  # 2 of 10 voxels.
    result = aspects([mask], RegionMap(grid, labels, dict.fromkeys(SIDED_REGIONS[1:], 1.0)))
    assert row(result, "C", "left").share.median == 0.2
    assert result.sides["left"].distribution.median == 9.0


def test_every_region_has_a_limit() -> None:
    assert set(LIMITS) == set(REGIONS[1:])
    limits = {r.region: r.limit for r in aspects([np.zeros(GRID.shape, bool)], PLACES).regions}
    assert limits == LIMITS
    assert {region for region, limit in limits.items() if limit == 0.05} == {"cerebellum", "pons", "midbrain"}


def test_an_infarct_of_a_whole_territory_has_the_scores_that_its_name_suggests() -> None:
    tissue = TerritoryMap.of(IDENTITY, GRID).tissue
    mca, basilar = (
        aspects([tissue == TERRITORY_LABELS[name]], PLACES) for name in ("MCA right", "vertebrobasilar left")
    )
    assert [mca.sides[side].distribution.median for side in ("right", "left")] == [0.0, 10.0]
    assert mca.pc_score.distribution.median >= 9.0
    assert basilar.score.distribution.median == 10.0
    assert basilar.pc_score.distribution.median <= 5.0


def test_the_more_affected_side_has_the_score() -> None:
    mask = whole("M1 right", "M2 right", "L left", "I left", "C left")
    result = aspects([mask], PLACES)
    assert result.sides["right"].distribution.median == 8.0
    assert result.sides["left"].distribution.median == result.score.distribution.median == 7.0
    assert result.side_probability["left"] == 1.0


def test_draws_give_the_distribution_of_the_score() -> None:
    names = [f"{region} left" for region in ASPECTS_REGIONS]
    masks = (whole(*names[:n]) for n in (0, 2, 4, 4, 6, 8, 8, 9, 10, 10))
    result = aspects(masks, PLACES)
    score = result.score
    assert score.distribution.draws == (10, 8, 6, 6, 4, 2, 2, 1, 0, 0)
    assert score.distribution.median == 3.0
    assert score.probabilities == pytest.approx((0.2, 0.1, 0.2, 0, 0.1, 0, 0.2, 0, 0.1, 0, 0.1))
    ranges = score.as_json()["ranges"]
    assert ranges == pytest.approx({"0-2": 0.5, "3-5": 0.1, "6-10": 0.4})
    assert row(result, "C", "left").probability == pytest.approx(0.9)
    assert row(result, "M6", "left").probability == pytest.approx(0.2)
    assert result.rule_draws()["aspects"].tolist() == list(score.distribution.draws)
    assert result.rule_draws()["pc_aspects"].tolist() == [10.0] * 10


@pytest.mark.parametrize("codes", ["LPS", "PSR", "ILA"])
def test_the_score_does_not_depend_on_the_orientation_of_the_grid(codes: str) -> None:
    mask = whole("M1 right", "M2 right", "I right", "L right", "PCA left")
    turned, grid = oriented(mask, codes)
    result = aspects([turned], RegionMap.of(IDENTITY, grid))
    assert result.sides["right"].distribution.median == 6.0
    assert result.sides["left"].distribution.median == 10.0
    assert result.pc_score.distribution.median == 9.0


def test_a_lesion_in_no_region_costs_nothing() -> None:
    mask = whole("") & (np.indices(GRID.shape)[0] < 22)
    result = aspects([mask], PLACES)
    assert mask.any()
    assert result.score.distribution.median == result.pc_score.distribution.median == 10.0


def test_regions_out_of_view_are_named_and_not_involved() -> None:
    affine = AFFINE.copy()
    affine[2, 3] = 24.0
    upper = Grid((44, 50, 15), affine)
    result = aspects([np.ones(upper.shape, bool)], RegionMap.of(IDENTITY, upper))
    assert result.score.distribution.median == 6.0  # M4 to M6, and the body of the caudate.
    assert result.pc_score.distribution.median == 8.0
    assert np.isnan(row(result, "M1").share.median)
    assert row(result, "M1").probability == row(result, "M1").covered == 0.0
    assert row(result, "C").covered < 0.5
    assert any("right insular ribbon (I)" in note for note in result.notes())
    assert row(result, "M5").covered > 0.5
    content = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert content["regions"][0] | {"share": None} == {
        "region": "C", "side": "right", "title": "right caudate nucleus (C)", "points": 1, "limit": 0.2,
        "probability": 1.0, "share": None, "volume_ml": row(result, "C").volume_ml, "covered": row(result, "C").covered,
    }  # fmt: skip


def test_the_whole_head_is_in_view_at_any_scale() -> None:
    assert min(PLACES.covered.values()) > 0.85
    mni_mm = IDENTITY.of_voxels(GRID.affine, GRID.shape)
    small = Grid(GRID.shape, np.diag([0.5, 0.5, 0.5, 1.0]) @ GRID.affine)
    assert RegionMap.at(mni_mm, small).covered == PLACES.covered


def test_no_draw_another_shape_and_a_wrong_limit_are_refused() -> None:
    with pytest.raises(MissingInput, match="at least one draw"):
        aspects([], PLACES)
    with pytest.raises(GridMismatch, match=r"shape \(3, 3, 3\)"):
        aspects([np.ones((3, 3, 3), bool)], PLACES)
    with pytest.raises(InputRejected, match="above 0"):
        AspectsDraws(PLACES, limits={"pons": 0.0})
    with pytest.raises(InputRejected, match="limit of M7"):
        AspectsDraws(PLACES, limits={"M7": 0.2})
