from dataclasses import dataclass, replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from adumbra.core.case import Case, annotator_mask_name
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.geometry.components import label_components
from adumbra.preprocessing.pipeline import preprocess
from adumbra.training.cache import CacheConfig, _identity, balancing_weights, cache_cases, training_arrays
from adumbra.training.patches import open_cached_case, sample_patch

CONFIG = CacheConfig(least_side=16)


def balls(*sizes):
    """A row of cubes of these side lengths, far apart."""
    mask = np.zeros((30 * len(sizes), 30, 30), dtype=bool)
    for n, size in enumerate(sizes):
        mask[30 * n + 5 : 30 * n + 5 + size, 5 : 5 + size, 5 : 5 + size] = True
    return mask


def test_a_component_of_a_hundred_voxels_would_weigh_one():
    mask = np.zeros((30, 30, 30), dtype=bool)
    mask[10:15, 10:15, 10:14] = True  # 5 · 5 · 4 = 100
    assert np.allclose(balancing_weights(mask), 1.0)


def test_small_components_weigh_more_within_bounds():
    weights = balancing_weights(balls(1, 2, 10))
    assert weights[5, 5, 5] == 2.5  # sqrt(100 / 1) = 10, clipped
    assert weights[35, 5, 5] == 2.5  # sqrt(100 / 8) = 3.5, clipped
    assert weights[65, 5, 5] == pytest.approx(np.sqrt(100 / 1000), rel=1e-6)
    huge = np.zeros((40, 40, 40), dtype=bool)
    huge[5:35, 5:35, 5:35] = True
    assert balancing_weights(huge)[20, 20, 20] == pytest.approx(0.3)  # sqrt(100 / 27000) = 0.06, clipped


def test_the_surroundings_weigh_like_their_component():
    weights = balancing_weights(balls(1, 2))
    assert weights[5 + 3, 5, 5] == 2.5
    assert weights[5 + 4, 5, 5] == 1.0
    assert weights[35 - 3, 5, 5] == weights[35, 5, 5]


def test_a_large_lesion_does_not_dominate_many_tiny_ones():
    """Missing five emboli must cost as much as missing a good part of the infarct; unweighted it would cost 1 %."""
    mask = balls(16, 2, 2, 2, 2, 2)
    weights = balancing_weights(mask)
    tiny = mask & (np.arange(mask.shape[0]) >= 30)[:, None, None]
    assert (mask & tiny).sum() / mask.sum() < 0.011
    assert weights[tiny].sum() / weights[mask].sum() > 0.07


def test_an_empty_mask_weighs_one_everywhere():
    assert (balancing_weights(np.zeros((4, 4, 4), dtype=bool)) == 1.0).all()


def test_arrays_hold_everything_that_a_step_needs(synthetic_case):
    case = synthetic_case(1)
    arrays = training_arrays(case, CONFIG)
    assert arrays["channels"].dtype == np.float16
    assert arrays["present"].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert (arrays["channels"][2:] == 0).all()
    assert arrays["labels"].sum() == case.masks["lesion"].data.sum()
    inside = arrays["labels"][0].astype(bool)
    tissue = arrays["brain"].astype(bool) & ~inside
    assert arrays["channels"][0][inside].mean() > 3 + arrays["channels"][0][tissue].mean()
    assert arrays["labels"][0][tuple(arrays["sites"].T.astype(int))].all()
    assert arrays["ends"][-1] == len(arrays["sites"]) == inside.sum()
    assert arrays["brain"][tuple(arrays["brain_sites"].T.astype(int))].all()


def test_the_affine_leads_from_the_voxels_of_the_file_to_those_of_the_case(synthetic_case):
    case = synthetic_case(1)
    _, network_case = preprocess(case, target="lesion", modalities=("dwi", "adc"), spacing_mm=2.0)
    arrays = training_arrays(case, replace(CONFIG, modalities=("dwi", "adc"), least_side=96))
    sites = arrays["sites"].astype(float)
    world = sites @ arrays["affine"][:3, :3].T + arrays["affine"][:3, 3]
    index = np.rint(network_case.grid.index(world)).astype(int)
    assert len(index)
    assert network_case.masks["lesion"].data[tuple(index.T)].all()


def test_volumes_smaller_than_a_patch_are_padded(synthetic_case):
    arrays = training_arrays(synthetic_case(1), replace(CONFIG, least_side=40))
    assert arrays["channels"].shape == (4, 40, 40, 40)
    assert arrays["labels"].sum() == synthetic_case(1).masks["lesion"].data.sum()


def test_components_are_separated(synthetic_case):
    arrays = training_arrays(synthetic_case(3, lesions=2), CONFIG)
    assert len(arrays["ends"]) == label_components(arrays["labels"][0].astype(bool))[1]


def test_a_case_without_a_ground_truth_is_refused(synthetic_case):
    case = synthetic_case(1)
    unlabelled = case.updated(masks={"brain": case.masks["brain"]})
    with pytest.raises(MissingInput, match="mask of the lesion"):
        training_arrays(unlabelled, CONFIG)


def test_structures_are_labels_without_patches_around_them(synthetic_case):
    """Where a case does not have a structure, the loss does not see its channel."""
    case = synthetic_case(1)
    vessel = replace(case.masks["lesion"], data=np.roll(case.masks["lesion"].data, 3, axis=0))
    config = replace(CONFIG, targets=("lesion", "arteries", "veins"))
    arrays = training_arrays(case.updated(masks={**case.masks, "arteries": vessel}), config)
    plain = training_arrays(case, CONFIG)
    assert np.array_equal(arrays["labels"][0], plain["labels"][0])
    assert np.array_equal(arrays["sites"], plain["sites"])
    assert arrays["labels"].sum(axis=(1, 2, 3))[1:].tolist() == [vessel.data.sum(), 0]
    assert arrays["known"].tolist() == [1.0, 0.0]


def test_patches_of_structures_have_weights_where_they_are_known(tmp_path, synthetic_case):
    case = synthetic_case(1)
    masks = {**case.masks, "arteries": case.masks["lesion"]}
    config = replace(CONFIG, targets=("lesion", "arteries", "veins"))
    (path,) = cache_cases([Counting("c", case.updated(masks=masks), [])], tmp_path, config)
    patch = sample_patch(open_cached_case(path), np.random.default_rng(0), side=16, spacing_mm=2.0)
    assert patch.labels.shape == patch.weights.shape == (1, 3, 16, 16, 16)
    assert [float(patch.weights[0, n].min()) for n in (1, 2)] == [1.0, 0.0]
    assert np.array_equal(patch.labels[0, 0], patch.labels[0, 1])


@dataclass(frozen=True)
class Prepared:
    """A case that is in the units of a network."""

    name: str
    case: Case

    def open(self):
        raise AssertionError("the case is prepared")

    def network_case(self, *, modalities, spacing_mm):
        assert (modalities, spacing_mm) == (CONFIG.modalities, CONFIG.spacing_mm)
        return self.case


def test_a_case_may_prepare_itself(tmp_path, synthetic_case):
    case = synthetic_case(1)
    (path,) = cache_cases([Prepared("patch", case)], tmp_path, CONFIG)
    channels = load_file(path)["channels"]
    assert channels.max() == pytest.approx(case.scans["dwi"].data.max(), rel=1e-3), "in the units that it has"


@dataclass(frozen=True)
class Counting:
    """A synthetic case that records each time it is opened."""

    name: str
    case: Case
    opened: list

    def open(self):
        self.opened.append(self.name)
        return self.case


def test_current_files_are_not_written_again(tmp_path, synthetic_case):
    opened = []
    cases = [Counting(f"c{n}", synthetic_case(n), opened) for n in range(2)]
    paths = cache_cases(cases, tmp_path, CONFIG)
    assert [p.name for p in paths] == ["c0.safetensors", "c1.safetensors"]
    original = paths[0].read_bytes()
    paths[1].write_bytes(paths[1].read_bytes()[:100])
    cache_cases(cases, tmp_path, CONFIG)
    assert opened == ["c0", "c1", "c1"]
    cache_cases(cases, tmp_path, replace(CONFIG, modalities=("dwi",)))
    assert opened == ["c0", "c1", "c1", "c0", "c1"]
    assert load_file(paths[0])["channels"].shape[0] == 1
    cache_cases(cases, tmp_path, CONFIG)
    assert paths[0].read_bytes() == original
    assert not list(tmp_path.glob(".*"))


def test_two_cases_of_one_name_are_refused(tmp_path, synthetic_case):
    with pytest.raises(InputRejected, match="twice"):
        cache_cases([Counting("a", synthetic_case(0), []), Counting("a", synthetic_case(1), [])], tmp_path, CONFIG)


def test_workers_write_the_same_files(tmp_path, blob_refs):
    single = cache_cases(blob_refs(2), tmp_path / "a", CONFIG)
    parallel = cache_cases(blob_refs(2), tmp_path / "b", CONFIG, workers=2)
    assert [p.read_bytes() for p in single] == [p.read_bytes() for p in parallel]


def with_annotators(case, count):
    """The case with masks that grow by one plane from annotator to annotator."""
    mask = case.masks["lesion"]
    masks, grown = dict(case.masks), mask.data
    for number in range(1, count + 1):
        grown = grown | np.roll(grown, 1, axis=0)
        masks[annotator_mask_name("lesion", number)] = replace(mask, data=grown)
    return case.updated(masks=masks)


def test_masks_of_annotators_are_cached_and_one_is_drawn_for_each_patch(synthetic_case, tmp_path):
    case = with_annotators(synthetic_case(1), 3)
    config = replace(CONFIG, annotators=3)
    arrays = training_arrays(case, config)
    assert arrays["annotations"].shape == (3, 1, *arrays["brain"].shape)
    volumes = arrays["annotations"].sum(axis=(1, 2, 3, 4))
    assert arrays["labels"].sum() < volumes[0] < volumes[1] < volumes[2]
    path = tmp_path / "case.safetensors"
    save_file(arrays, path)
    cached = open_cached_case(path)
    for number in (1, 2, 3):
        patch = sample_patch(cached, np.random.default_rng(0), side=16, spacing_mm=2.0, annotator=number)
        same_place = sample_patch(cached, np.random.default_rng(0), side=16, spacing_mm=2.0, annotator=1)
        assert (patch.labels >= same_place.labels).all()
        assert np.array_equal(patch.channels, same_place.channels)
    sums = {
        sample_patch(cached, np.random.default_rng(seed), side=16, spacing_mm=2.0).labels.sum() for seed in range(40)
    }
    assert len(sums) > 3


def test_a_case_without_the_masks_of_its_annotators_is_refused(synthetic_case):
    with pytest.raises(MissingInput, match="annotator-2"):
        training_arrays(with_annotators(synthetic_case(1), 1), replace(CONFIG, annotators=2))


def test_caches_without_annotators_keep_their_identity():
    assert "annotators" not in _identity(CONFIG)
    assert "annotators" in _identity(replace(CONFIG, annotators=2))
