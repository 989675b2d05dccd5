from dataclasses import dataclass, replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from adumbra.core.case import Case
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.geometry.components import label_components
from adumbra.training.cache import CacheConfig, balancing_weights, cache_cases, training_arrays

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
