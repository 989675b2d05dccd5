"""The deep nuclei: volume, position, symmetry; and calcifications."""

import numpy as np
import pytest

from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head, sample_head
from adumbra.phantom.anatomy.nuclei import NUCLEI_MM, nucleus_fractions, sample_calcification
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


def test_names_are_those_of_the_tables(nuclei: dict[str, Volume]) -> None:
    assert set(nuclei) == set(PUBLISHED_ML) == set(NUCLEI_MM)
    assert set(nuclei) <= set(CHI_PPM)
    assert all(set(nuclei) <= set(table) for table in TISSUES.values())


@pytest.mark.parametrize("name", PUBLISHED_ML)
def test_each_side_has_about_the_published_volume(name: str, template_head: Head, nuclei: dict[str, Volume]) -> None:
    least, most = PUBLISHED_ML[name]
    for side in (template_head.mni_mm[0] > 0, template_head.mni_mm[0] < 0):
        assert least < nuclei[name][side].sum() * template_head.grid.voxel_ml < most


def test_nuclei_are_as_symmetric_as_the_template(nuclei: dict[str, Volume]) -> None:
    for part in nuclei.values():
        np.testing.assert_allclose(part, part[::-1], atol=0.02)


def test_nuclei_do_not_overlap_and_stay_within_tissue(template_head: Head, nuclei: dict[str, Volume]) -> None:
    assert all(part.min() >= 0 for part in nuclei.values())
    assert (sum(nuclei.values()) <= template_head.tissue + 1e-5).all()
    assert sum(nuclei.values()).max() > 0.99


def test_nuclei_have_their_anatomical_order(template_head: Head, nuclei: dict[str, Volume]) -> None:
    right = template_head.mni_mm[0] > 0
    x, y, z = (
        {n: float(np.average(c[right], weights=p[right])) for n, p in nuclei.items()} for c in template_head.mni_mm
    )
    assert x["caudate"] < x["pallidum"] < x["putamen"]
    assert x["red_nucleus"] < x["substantia_nigra"] < x["pallidum"]
    assert y["thalamus"] < y["pallidum"] < y["caudate"]
    assert z["substantia_nigra"] < z["red_nucleus"] < z["pallidum"] < z["thalamus"]


def test_caudate_and_putamen_are_greyer_than_the_capsule_between_them(
    template_head: Head, nuclei: dict[str, Volume]
) -> None:
    capsule = (np.abs(template_head.mni_mm - np.reshape((19, -6, 10), (3, 1, 1, 1))) < 2).all(axis=0)
    share = template_head.grey / np.maximum(template_head.tissue, 1e-6)
    for name in ("caudate", "putamen", "thalamus"):
        assert np.average(share, weights=nuclei[name]) > 0.55 > 2 * share[capsule].mean()
    assert np.average(share, weights=nuclei["pallidum"]) < 0.4  # its fibres make it look white


def test_nuclei_scale_with_the_subject() -> None:
    subject, _ = sample_head(np.random.default_rng(1))
    fractions = nucleus_fractions(subject)
    for name, (least, most) in PUBLISHED_ML.items():
        assert 0.4 * least < fractions[name].sum() * subject.grid.voxel_ml / 2 < 2.2 * most
    assert (sum(fractions.values()) <= subject.tissue + 1e-5).all()


def test_calcifications_are_small_well_placed_and_more_frequent_in_the_old(heads_by_age: dict[float, Head]) -> None:
    counts = {}
    for age in (0.0, 1.0):
        subject, count, volumes = heads_by_age[age], 0, []
        for seed in range(40):
            fraction = sample_calcification(np.random.default_rng(seed), subject)
            assert fraction.min() >= 0
            assert fraction.max() <= 1
            x, y, z = subject.mni_mm[:, fraction > 0.1]
            pineal = (np.abs(x) < 8) & (np.abs(y + 29) < 9) & (np.abs(z - 2) < 9)
            plexus = (np.abs(np.abs(x) - 23) < 12) & (np.abs(y + 42) < 12) & (np.abs(z - 11) < 12)
            falx = (np.abs(x) < 4) & (y > 0)
            assert (pineal | plexus | falx).all()
            count += int(pineal.any()) + int(plexus.any()) + int(falx.any())
            volumes.append(fraction.sum() * subject.grid.voxel_ml)
        assert max(volumes) < 1.0
        counts[age] = count
    assert counts[1.0] > counts[0.0] > 10
