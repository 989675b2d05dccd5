"""The deep nuclei: as large as they are, where they are, and their iron."""

from collections.abc import Callable

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head, head
from adumbra.phantom.anatomy.nuclei import NUCLEI_MM, calcified, iron_ppm, nuclei
from adumbra.phantom.anatomy.template import template
from adumbra.phantom.physics.relaxation import TISSUES
from adumbra.phantom.physics.susceptibility import CHI_PPM

# Published volumes of one side, ml.
PUBLISHED_ML = {
    "caudate": (3.0, 4.0),
    "putamen": (4.0, 5.0),
    "pallidum": (1.5, 1.8),
    "thalamus": (6.0, 7.0),
    "substantia_nigra": (0.4, 0.5),
    "red_nucleus": (0.25, 0.3),
}


def _template_head(age: float) -> Head:
    """The inner part of the template itself, 1 mm, as a subject without deformation: x −45 to 45 mm."""
    t = template()
    inner = (slice(53, 144), slice(64, 200), slice(44, 150))
    affine = t.affine.copy()
    affine[:3, 3] += [s.start for s in inner]
    grey, white = (np.float32(v[inner]) / 255 for v in (t.grey, t.white))
    x, y, z = grey.shape
    grid = Grid((x, y, z), affine)
    mni = np.moveaxis(grid.world_mm(np.indices(grey.shape).reshape(3, -1).T), 1, 0).reshape(3, x, y, z)
    white = np.minimum(white, 1 - grey)
    none = np.zeros_like(grey)
    return Head(
        grid, np.float32(mni), grey, white, 1 - grey - white, none, none, none, t.depth_mm[inner], none, 1.0, age
    )


@pytest.fixture(scope="module")
def whole() -> Head:
    return _template_head(0.5)


@pytest.fixture(scope="module")
def parts(whole: Head) -> dict[str, Volume]:
    return nuclei(whole)


def test_names_are_those_of_the_tables(parts: dict[str, Volume]) -> None:
    assert set(parts) == set(PUBLISHED_ML) == set(NUCLEI_MM)
    assert set(parts) <= set(CHI_PPM)
    assert all(set(parts) <= set(table) for table in TISSUES.values())


@pytest.mark.parametrize("name", PUBLISHED_ML)
def test_each_side_has_about_the_published_volume(name: str, whole: Head, parts: dict[str, Volume]) -> None:
    least, most = PUBLISHED_ML[name]
    for side in (whole.mni_mm[0] > 0, whole.mni_mm[0] < 0):
        assert least < parts[name][side].sum() * whole.grid.voxel_ml < most


def test_the_template_is_symmetric_and_so_are_they(parts: dict[str, Volume]) -> None:
    for part in parts.values():
        np.testing.assert_allclose(part, part[::-1], atol=0.02)


def test_no_voxel_is_shared_out_twice_and_none_beyond_tissue(whole: Head, parts: dict[str, Volume]) -> None:
    assert all(part.min() >= 0 for part in parts.values())
    assert (sum(parts.values()) <= whole.tissue + 1e-5).all()
    assert sum(parts.values()).max() > 0.99


def test_they_lie_as_in_the_brain(whole: Head, parts: dict[str, Volume]) -> None:
    right = whole.mni_mm[0] > 0
    x, y, z = ({n: float(np.average(c[right], weights=p[right])) for n, p in parts.items()} for c in whole.mni_mm)
    assert x["caudate"] < x["pallidum"] < x["putamen"]
    assert x["red_nucleus"] < x["substantia_nigra"] < x["pallidum"]
    assert y["thalamus"] < y["pallidum"] < y["caudate"]
    assert z["substantia_nigra"] < z["red_nucleus"] < z["pallidum"] < z["thalamus"]


def test_caudate_and_putamen_are_greyer_than_the_capsule_between_them(whole: Head, parts: dict[str, Volume]) -> None:
    capsule = (np.abs(whole.mni_mm - np.reshape((19, -6, 10), (3, 1, 1, 1))) < 2).all(axis=0)
    share = whole.grey / np.maximum(whole.tissue, 1e-6)
    for name in ("caudate", "putamen", "thalamus"):
        assert np.average(share, weights=parts[name]) > 0.55 > 2 * share[capsule].mean()
    assert np.average(share, weights=parts["pallidum"]) < 0.4  # its fibres make it look white


def test_a_subject_has_them_at_its_own_size() -> None:
    subject, _ = head(np.random.default_rng(1))
    parts = nuclei(subject)
    for name, (least, most) in PUBLISHED_ML.items():
        assert 0.4 * least < parts[name].sum() * subject.grid.voxel_ml / 2 < 2.2 * most
    assert (sum(parts.values()) <= subject.tissue + 1e-5).all()


def _mean_iron(whole: Head, parts: dict[str, Volume]) -> Callable[[str], float]:
    made = np.mean([iron_ppm(np.random.default_rng(s), whole, parts) for s in range(12)], axis=0)
    return lambda name: float(made[parts[name] > 0.98].mean())


def test_iron_is_that_of_the_table_in_middle_age(whole: Head, parts: dict[str, Volume]) -> None:
    mean = _mean_iron(whole, parts)
    for name in ("pallidum", "putamen", "thalamus", "red_nucleus"):
        assert mean(name) == pytest.approx(CHI_PPM[name], rel=0.15)
    made = iron_ppm(np.random.default_rng(0), whole, parts)
    assert made.min() >= 0
    cortex = (whole.grey > 0.98) & (sum(parts.values()) == 0)
    assert made[cortex].mean() == pytest.approx(CHI_PPM["grey"], rel=0.3)
    assert made[(whole.white > 0.99) & (sum(parts.values()) == 0)].max() < 0.001


def test_the_putamen_gathers_iron_with_age_and_the_thalamus_does_not(parts: dict[str, Volume]) -> None:
    young, old = (_mean_iron(_template_head(age), parts) for age in (0.0, 1.0))
    assert old("putamen") > 1.6 * young("putamen")
    assert old("pallidum") > 1.1 * young("pallidum")
    assert old("thalamus") < young("thalamus")


def test_same_seed_same_iron_other_seed_other_iron(whole: Head, parts: dict[str, Volume]) -> None:
    one, again, other = (iron_ppm(np.random.default_rng(s), whole, parts) for s in (1, 1, 2))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


def test_calcifications_are_small_in_their_places_and_commoner_in_the_old() -> None:
    seen = {}
    for age in (0.0, 1.0):
        subject, count, volumes = _template_head(age), 0, []
        for seed in range(40):
            made = calcified(np.random.default_rng(seed), subject)
            assert made.min() >= 0
            assert made.max() <= 1
            x, y, z = subject.mni_mm[:, made > 0.1]
            pineal = (np.abs(x) < 8) & (np.abs(y + 29) < 9) & (np.abs(z - 2) < 9)
            plexus = (np.abs(np.abs(x) - 23) < 12) & (np.abs(y + 42) < 12) & (np.abs(z - 11) < 12)
            falx = (np.abs(x) < 4) & (y > 0)
            assert (pineal | plexus | falx).all()
            count += int(pineal.any()) + int(plexus.any()) + int(falx.any())
            volumes.append(made.sum() * subject.grid.voxel_ml)
        assert max(volumes) < 1.0
        seen[age] = count
    assert seen[1.0] > seen[0.0] > 10
