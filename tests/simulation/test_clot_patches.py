"""Patches from kept heads, at 2 mm for speed."""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.errors import MissingInput
from adumbra.phantom.presets import preset_named
from adumbra.simulation import clot_patches
from adumbra.simulation.clot_patches import MODALITIES, ClotPatch, keep_heads


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with one head that has every sequence."""
    folder = tmp_path_factory.mktemp("heads")
    with pytest.MonkeyPatch.context() as patched:
        coarse = replace(preset_named(clot_patches.PRESET), spacing_mm=2.0, missing={})
        patched.setattr(clot_patches, "preset_named", lambda _: coarse)
        names = keep_heads(folder, seed=3, count=1)
        before = (folder / f"{names[0]}.safetensors").stat().st_mtime_ns
        assert keep_heads(folder, seed=3, count=1) == names
    assert (folder / f"{names[0]}.safetensors").stat().st_mtime_ns == before, "a head is not simulated twice"
    return folder, names


def test_patches_have_clots_and_negatives(kept):
    folder, names = kept
    cases = [ClotPatch(folder, names, 1, n, side_mm=24.0).open() for n in range(12)]
    kinds = [case.provenance[0].what.removeprefix("Simulated: ") for case in cases]
    assert "clot" in kinds
    assert len({*kinds}) > 2
    for case, kind in zip(cases, kinds, strict=True):
        assert case.masks["thrombus"].data.any() == (kind == "clot")
        assert {"swi", "phase", "dwi"} <= set(case.scans) <= set(MODALITIES), "TOF does not reach every patch"


def test_a_patch_follows_its_number(kept):
    folder, names = kept
    one, again, other = (ClotPatch(folder, names, 1, n, side_mm=16.0).open() for n in (4, 4, 5))
    assert np.array_equal(one.scans["swi"].data, again.scans["swi"].data)
    assert one.name == again.name != other.name
    assert one.scans["swi"].data.shape != other.scans["swi"].data.shape or not np.array_equal(
        one.scans["swi"].data, other.scans["swi"].data
    )


def test_a_patch_is_in_the_network_units_of_its_whole_head(kept):
    folder, names = kept
    numbers = [n for n in range(20) if ClotPatch(folder, names, 1, n, side_mm=16.0).open().masks["brain"].data.all()]
    assert numbers
    case = ClotPatch(folder, names, 1, numbers[0], side_mm=24.0).network_case(modalities=MODALITIES, spacing_mm=1.0)
    assert case.masks["thrombus"].grid.spacing_mm == pytest.approx((1.0, 1.0, 1.0))
    for modality in ("swi", "tof", "dwi"):
        assert abs(np.median(case.scans[modality].data)) < 4
    assert np.abs(case.scans["phase"].data).max() <= 1


def test_a_missing_head_is_named(tmp_path):
    with pytest.raises(MissingInput, match="keep_heads"):
        ClotPatch(tmp_path, ("head03n00000",), 1, 0).open()
