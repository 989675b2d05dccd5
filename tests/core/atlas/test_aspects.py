"""The atlas of the ASPECTS regions: known places, sides, order, volumes."""

import numpy as np
import pytest

from adumbra.core.atlas.aspects import (
    ASPECTS_REGIONS,
    PC_ASPECTS_POINTS,
    REGION_TITLES,
    REGIONS,
    SIDED_REGIONS,
    UNPAIRED,
    aspects_atlas,
    region_volumes_ml,
    regions_at,
)

# MNI mm of the right side, in the middle of each region.
KNOWN = {
    "C": (12, 12, 6), "L": (26, 2, 2), "IC": (20, -14, 6), "I": (39, 4, 2), "M1": (46, 32, 4), "M2": (58, -8, -14),
    "M3": (54, -56, 8), "M4": (42, 26, 32), "M5": (52, -8, 38), "M6": (44, -60, 38), "thalamus": (11, -18, 8),
    "cerebellum": (26, -64, -40), "PCA": (10, -84, 6), "pons": (6, -24, -34), "midbrain": (6, -24, -12),
}  # fmt: skip


def names_at(*places_mm) -> list[str]:
    return [SIDED_REGIONS[n] for n in regions_at(np.array(places_mm, dtype=float).T)]


def whole(name: str) -> np.ndarray:
    return aspects_atlas()[0] == REGIONS.index(name)


@pytest.mark.parametrize("name", REGIONS[1:])
def test_known_places_lie_in_their_region_on_the_right_side(name: str) -> None:
    x, y, z = KNOWN[name]
    right, left = (name, name) if name in UNPAIRED else (f"{name} right", f"{name} left")
    assert names_at((x, y, z), (-x, y, z)) == [right, left]


def test_places_of_no_region() -> None:
    # Anterior cingulum, medulla, corpus callosum, air, and far outside the grid.
    assert names_at((5, 40, 10), (3, -40, -58), (0, 26, 6), (95, 0, 0), (500, 0, 0)) == [""] * 5


def test_the_map_is_symmetric_and_every_region_is_on_it() -> None:
    labels, grid = aspects_atlas()
    np.testing.assert_array_equal(labels, labels[::-1])
    assert grid.world_mm([labels.shape[0] // 2, 0, 0])[0] == 0.0
    assert set(np.unique(labels)) == set(range(len(REGIONS)))
    assert set(REGION_TITLES) == set(REGIONS[1:])


def test_the_volumes_are_plausible() -> None:
    volumes = region_volumes_ml()
    limits = {"C": (3, 5), "L": (5, 8), "IC": (4, 8), "I": (6, 12), "thalamus": (5, 8), "pons": (10, 22),
              "midbrain": (7, 13), "cerebellum": (60, 100), "PCA": (80, 150)}  # fmt: skip
    limits |= {f"M{n}": (20, 90) for n in range(1, 7)}
    for name, (low, high) in limits.items():
        for key in (name,) if name in UNPAIRED else (f"{name} right", f"{name} left"):
            assert low < volumes[key] < high, key
    assert set(volumes) == set(SIDED_REGIONS[1:])
    cortex = sum(volumes[f"M{n} right"] for n in range(1, 7))
    assert cortex < 380  # That of the MCA territory of the atlas of territories.


def test_caudate_capsule_and_lentiform_lie_side_by_side_from_the_midline_outwards() -> None:
    """In the anterior limb C, IC, L, I follow each other outwards; in the posterior limb thalamus, IC, L."""
    labels, grid = aspects_atlas()
    anterior, posterior = (REGIONS.index(name) for name in ("C", "thalamus"))
    for y, z, first, last in ((10, 6, anterior, "I"), (-12, 6, posterior, "L")):
        _, j, k = np.rint(grid.index((0, y, z))).astype(int)
        line = labels[labels.shape[0] // 2 :, j, k]
        order = [int(n) for n, before in zip(line[1:], line[:-1], strict=True) if n != before and n > 0]
        expected = [first, REGIONS.index("IC"), REGIONS.index("L"), REGIONS.index("I")]
        assert order[: expected.index(REGIONS.index(last)) + 1] == expected[: expected.index(REGIONS.index(last)) + 1]


def test_the_supraganglionic_regions_lie_above_the_ganglionic_ones_and_from_front_to_back() -> None:
    _, grid = aspects_atlas()
    low, high = ([grid.world_mm(np.argwhere(whole(f"M{n}"))) for n in range(first, first + 3)] for first in (1, 4))
    assert max(points[:, 2].max() for points in low) < min(points[:, 2].min() for points in high)
    for three in (low, high):
        front, middle, back = (points[:, 1].mean() for points in three)
        assert front > middle > back
    for under, above in zip(low, high, strict=True):  # Each stands on its own.
        top, bottom = under[under[:, 2] == under[:, 2].max()], above[above[:, 2] == above[:, 2].min()]
        assert np.linalg.norm(top[:, 1].mean() - bottom[:, 1].mean()) < 10
    insula = grid.world_mm(np.argwhere(whole("I")))
    assert np.abs(insula[:, 0]).mean() < np.abs(low[1][:, 0]).mean()


def test_points_sum_up_to_ten() -> None:
    assert len(ASPECTS_REGIONS) == 10
    assert sum(points * (1 if name in UNPAIRED else 2) for name, points in PC_ASPECTS_POINTS.items()) == 10
