"""Randomised examinations as a whole; the other presets stay as they were."""

import json

import numpy as np
import pytest

from adumbra.core.geometry.components import label_components
from adumbra.phantom.generate import Phantom, generate

CLEAN, DWI_ALONE, HEALTHY = 1, 5, 4


@pytest.fixture(scope="module")
def phantoms() -> dict[int, Phantom]:
    return {seed: generate(seed, preset_name="lesion-mixture") for seed in (CLEAN, DWI_ALONE, HEALTHY)}


def test_same_seed_same_bytes(phantoms: dict[int, Phantom]) -> None:
    again, first = generate(DWI_ALONE, preset_name="lesion-mixture"), phantoms[DWI_ALONE]
    assert again.case.scans["dwi"].data.tobytes() == first.case.scans["dwi"].data.tobytes()
    assert [a.data.tobytes() for a in again.annotations] == [a.data.tobytes() for a in first.annotations]
    assert json.dumps(again.parameters) == json.dumps(first.parameters)


def test_scans_masks_and_annotations_lie_on_the_grid_of_the_dwi(phantoms: dict[int, Phantom]) -> None:
    assert set(phantoms[CLEAN].case.scans) == {"dwi", "adc", "b0", "flair"}
    assert set(phantoms[DWI_ALONE].case.scans) == {"dwi"}
    for phantom in phantoms.values():
        grid = phantom.case.scans["dwi"].grid
        assert phantom.case.masks["lesion"].grid.coincides(grid)
        assert len(phantom.annotations) == 4
        assert all(a.grid.coincides(grid) and a.data.dtype == bool for a in phantom.annotations)
        assert {"lesion", *(f"annotator{n}" for n in range(1, 5))} <= {t.name for t in phantom.truths}


def test_annotators_of_a_case_differ_and_all_of_them_find_a_large_infarct(phantoms: dict[int, Phantom]) -> None:
    phantom = phantoms[DWI_ALONE]
    fraction = next(t.scan.data for t in phantom.truths if (t.space, t.kind) == ("dwi", "probseg"))
    sizes = [int(a.data.sum()) for a in phantom.annotations]
    assert len(set(sizes)) == 4
    for annotation in phantom.annotations:
        assert annotation.data[fraction > 0.9].mean() > 0.9
        assert not annotation.data[fraction == 0].mean() > 0.01
    average = phantom.case.masks["lesion"].data
    assert label_components(average)[1] <= 20
    assert 0.5 * min(sizes) < average.sum() < 2 * max(sizes)


def test_a_healthy_head_has_empty_masks_and_its_confounders(phantoms: dict[int, Phantom]) -> None:
    phantom = phantoms[HEALTHY]
    assert phantom.parameters["pattern"] == "none"
    assert not any(mask.data.any() for mask in (*phantom.annotations, phantom.case.masks["lesion"]))
    dwi = phantom.case.scans["dwi"].data
    brain = dwi > np.median(dwi[dwi > 0])
    assert np.percentile(dwi[brain], 99) > 1.3 * np.median(dwi[brain])


def test_the_infarct_is_brighter_than_its_surroundings(phantoms: dict[int, Phantom]) -> None:
    phantom = phantoms[DWI_ALONE]
    mask, dwi = phantom.case.masks["lesion"].data, phantom.case.scans["dwi"].data
    mirror = mask[::-1] & (dwi > 0) & ~mask
    assert np.median(dwi[mask]) > 1.15 * np.median(dwi[mirror])


def test_the_same_seed_is_the_same_patient_in_every_arm(phantoms: dict[int, Phantom]) -> None:
    other = generate(DWI_ALONE, preset_name="lesion-physics")
    fractions = [next(t.scan.data for t in p.truths if t.space == "phantom") for p in (phantoms[DWI_ALONE], other)]
    assert (fractions[0] == fractions[1]).all()
    assert not np.array_equal(other.case.scans["dwi"].data, phantoms[DWI_ALONE].case.scans["dwi"].data)


def test_the_diffusion_preset_is_what_it_was() -> None:
    phantom = generate(12, preset_name="diffusion")
    scans = phantom.case.scans
    assert scans["dwi"].data.shape == (95, 112, 36)
    assert phantom.annotations == ()
    assert "quality" not in phantom.parameters
    assert int(phantom.case.masks["lesion"].data.sum()) == pytest.approx(302, rel=0.002)
    measured = [float(scans[m].data.mean()) for m in ("dwi", "adc", "b0", "flair")]
    assert measured == pytest.approx([357.4698, 0.325705, 1051.592, 63.25284], rel=1e-4)
