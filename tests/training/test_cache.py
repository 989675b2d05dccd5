from dataclasses import dataclass, replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from adumbra.core.case import Case
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.geometry.components import labelled
from adumbra.training.cache import CacheConfig, arrays_of, balancing_weights, cached

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
    assert weights[5, 5, 5] == 2.5  # sqrt(100 / 1) = 10, held
    assert weights[35, 5, 5] == 2.5  # sqrt(100 / 8) = 3.5, held
    assert weights[65, 5, 5] == pytest.approx(np.sqrt(100 / 1000), rel=1e-6)
    huge = np.zeros((40, 40, 40), dtype=bool)
    huge[5:35, 5:35, 5:35] = True
    assert balancing_weights(huge)[20, 20, 20] == pytest.approx(0.3)  # sqrt(100 / 27000) = 0.06, held


def test_the_surroundings_weigh_like_their_component():
    weights = balancing_weights(balls(1, 2))
    assert weights[5 + 3, 5, 5] == 2.5
    assert weights[5 + 4, 5, 5] == 1.0
    assert weights[35 - 3, 5, 5] == weights[35, 5, 5]


def test_a_batch_of_one_large_and_many_tiny_lesions_is_not_won_by_the_large():
    """Missing five emboli must cost as much as missing a good part of the infarct; unweighted it would cost 1 %."""
    mask = balls(16, 2, 2, 2, 2, 2)
    weights = balancing_weights(mask)
    tiny = mask & (np.arange(mask.shape[0]) >= 30)[:, None, None]
    assert (mask & tiny).sum() / mask.sum() < 0.011
    assert weights[tiny].sum() / weights[mask].sum() > 0.07


def test_an_empty_mask_weighs_one_everywhere():
    assert (balancing_weights(np.zeros((4, 4, 4), dtype=bool)) == 1.0).all()


def test_arrays_hold_what_a_step_needs(made_case):
    case = made_case(1)
    arrays = arrays_of(case, CONFIG)
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


def test_what_is_smaller_than_a_patch_is_padded(made_case):
    arrays = arrays_of(made_case(1), replace(CONFIG, least_side=40))
    assert arrays["channels"].shape == (4, 40, 40, 40)
    assert arrays["labels"].sum() == made_case(1).masks["lesion"].data.sum()


def test_components_are_told_apart(made_case):
    arrays = arrays_of(made_case(3, lesions=2), CONFIG)
    assert len(arrays["ends"]) == labelled(arrays["labels"][0].astype(bool))[1]


def test_a_case_without_a_truth_is_refused(made_case):
    case = made_case(1)
    blind = case.updated(masks={"brain": case.masks["brain"]})
    with pytest.raises(MissingInput, match="outlined lesion"):
        arrays_of(blind, CONFIG)


@dataclass(frozen=True)
class Counting:
    """Opens a made case, and leaves a mark each time."""

    name: str
    case: Case
    open_cached_case: list

    def open(self):
        self.open_cached_case.append(self.name)
        return self.case


def test_what_is_made_is_not_made_again_unless_made_otherwise(tmp_path, made_case):
    open_cached_case = []
    cases = [Counting(f"c{n}", made_case(n), open_cached_case) for n in range(2)]
    paths = cached(cases, tmp_path, CONFIG)
    assert [p.name for p in paths] == ["c0.safetensors", "c1.safetensors"]
    pretrain_share = paths[0].read_bytes()
    paths[1].write_bytes(paths[1].read_bytes()[:100])
    cached(cases, tmp_path, CONFIG)
    assert open_cached_case == ["c0", "c1", "c1"]
    cached(cases, tmp_path, replace(CONFIG, modalities=("dwi",)))
    assert open_cached_case == ["c0", "c1", "c1", "c0", "c1"]
    assert load_file(paths[0])["channels"].shape[0] == 1
    cached(cases, tmp_path, CONFIG)
    assert paths[0].read_bytes() == pretrain_share
    assert not list(tmp_path.glob(".*"))


def test_two_cases_of_one_name_are_refused(tmp_path, made_case):
    with pytest.raises(InputRejected, match="twice"):
        cached([Counting("a", made_case(0), []), Counting("a", made_case(1), [])], tmp_path, CONFIG)


def test_workers_make_the_same_files(tmp_path, blob_refs):
    alone = cached(blob_refs(2), tmp_path / "a", CONFIG)
    together = cached(blob_refs(2), tmp_path / "b", CONFIG, workers=2)
    assert [p.read_bytes() for p in alone] == [p.read_bytes() for p in together]
