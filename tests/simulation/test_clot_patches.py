"""Patches from kept heads, at 2 mm for speed."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from adumbra.core.atlas.deformation import Deformation
from adumbra.core.case import MIRROR_BRAIN
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.phantom.local.head_image import head_image
from adumbra.phantom.presets import preset_named
from adumbra.simulation import clot_patches
from adumbra.simulation.clot_patches import MODALITIES, ClotPatch, _opened, _reflection, keep_heads
from adumbra.training.cache import CacheConfig, cache_cases
from adumbra.training.context_files import PartSource
from adumbra.training.patches import open_cached_case, sample_patch

CONFIG = CacheConfig(MODALITIES, ("thrombus",), spacing_mm=2.0, least_side=16, mirrored=True)


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


@pytest.fixture(scope="module")
def patch(kept):
    """A patch whose other side every sequence of the head reaches."""
    folder, names = kept
    patches = [ClotPatch(folder, names, 1, n, side_mm=20.0) for n in range(12)]
    return next(p for p in patches if abs(p._finding()[1].centre_mm[0] - middle_mm(p)) > 25)


def middle_mm(patch):
    """Where the midline of the head lies, along x."""
    return float(_reflection(patch.folder / f"{patch.head}.safetensors")[0, 3]) / 2


def test_the_head_of_a_patch_is_placed_by_its_image(patch):
    assert isinstance(patch, PartSource)
    head = _opened(patch.folder / f"{patch.head}.safetensors")
    image, grid = head_image(head)
    assert grid.spacing_mm == pytest.approx(tuple(2 * s for s in head.grid.spacing_mm))
    assert image[image.shape[0] // 2, image.shape[1] // 2, image.shape[2] // 2] > np.median(image[:, :, -1])
    place = patch.place_head()
    assert isinstance(place, Deformation)
    sides = place(head.arteries.points_mm[np.isin(head.arteries.segment, [named(head, "M1_L"), named(head, "M1_R")])].T)
    assert 15 < np.abs(sides[0]).mean() < 35
    assert np.abs(sides[1:].mean(axis=1) - (3, -14)).max() < 12


def named(head, name):
    return head.arteries.names.index(name)


def test_the_other_side_has_the_units_and_the_tissue_of_the_patch(patch):
    plain = patch.network_case(modalities=MODALITIES, spacing_mm=2.0)
    case = patch.network_case(modalities=MODALITIES, spacing_mm=2.0, mirrored=True)
    assert not plain.mirrors
    assert set(case.mirrors) == set(case.scans)
    for modality, scan in case.scans.items():
        np.testing.assert_array_equal(scan.data, plain.scans[modality].data)
        assert case.mirrors[modality].grid.coincides(scan.grid)
    inside = case.masks["brain"].data & case.masks[MIRROR_BRAIN].data
    assert inside.sum() > 0.5 * case.masks["brain"].data.sum()
    dwi, other = case.scans["dwi"].data[inside], case.mirrors["dwi"].data[inside]
    assert abs(np.median(dwi) - np.median(other)) < 1.5
    assert np.abs(dwi - other).max() > 0.5


def test_a_cached_patch_has_its_other_side_in_place(patch, tmp_path):
    (path,) = cache_cases([patch], tmp_path, CONFIG)
    arrays, case = load_file(path), open_cached_case(path)
    assert arrays["mirrors"].shape == arrays["channels"].shape
    np.testing.assert_array_equal(arrays["reflection"], np.eye(4))
    rng = [np.random.default_rng(seed) for seed in (0, 1)]
    sampled = sample_patch(case, rng[0], side=16, spacing_mm=2.0, mirror_rng=rng[1])
    assert sampled.mirror.shape == sampled.channels.shape
    assert sampled.mirror.any()
    assert not np.allclose(sampled.mirror, sampled.channels, atol=0.5)


def test_a_kind_outside_the_field_of_view_gives_way_to_another(kept, monkeypatch):
    """Without this a stack that begins above the circle of Willis sampled hypoplastic arteries for ever."""
    folder, names = kept
    head = _opened(folder / f"{names[0]}.safetensors")
    numbers = [n for n in range(60) if ClotPatch(folder, names, 1, n)._finding()[1].kind == "clot"]
    monkeypatch.setattr(clot_patches, "is_seen", lambda _, finding: finding.kind == "vein")
    assert {ClotPatch(folder, names, 1, n)._finding()[1].kind for n in numbers[:3]} == {"vein"}
    monkeypatch.setattr(clot_patches, "is_seen", lambda *_: False)
    with pytest.raises(InputRejected, match=head.name):
        ClotPatch(folder, names, 1, 0)._finding()
