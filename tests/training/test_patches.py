from pathlib import Path

import numpy as np
import pytest

from adumbra.training.cache import CacheConfig, cache_cases
from adumbra.training.patches import CachedCase, _sample_centre, concatenate_patches, open_cached_case, sample_patch


@pytest.fixture
def case(tmp_path, blob_refs):
    return open_cached_case(cache_cases(blob_refs(1), tmp_path, CacheConfig(least_side=16))[0])


def test_a_patch_is_a_cut_of_the_case(case):
    patch = sample_patch(case, np.random.default_rng(0), side=16, spacing_mm=2.0)
    assert patch.channels.shape == (1, 4, 16, 16, 16)
    assert patch.labels.shape == patch.weights.shape == patch.brain.shape == (1, 1, 16, 16, 16)
    inside = patch.labels[0, 0] > 0
    assert patch.channels[0, 0][inside].mean() > 2 if inside.any() else True
    assert {a.dtype for a in vars(patch).values() if a is not None} == {np.dtype(np.float32)}


def test_the_same_generator_samples_the_same_patch(case):
    one, same, other = (sample_patch(case, np.random.default_rng(s), side=16, spacing_mm=2.0) for s in (1, 1, 2))
    assert np.array_equal(one.channels, same.channels)
    assert not np.array_equal(one.channels, other.channels)


def centres(sizes, count=600):
    """The component that each patch is centred on; -1 is anywhere. Component k lies at x = 100 · (k + 1)."""
    sites = np.concatenate([np.full((n, 3), 100 * (k + 1), dtype=np.int16) for k, n in enumerate(sizes)])
    brain = np.full((5, 3), 7, dtype=np.int16)
    case = CachedCase(Path("synthetic"), (999, 999, 999), np.ones(1), sites, np.cumsum(sizes), brain)
    rng = np.random.default_rng(0)
    return np.array([_sample_centre(case, rng, small_voxels=200)[0] // 100 - 1 for _ in range(count)])


def test_components_are_sampled_uniformly_and_small_ones_favoured():
    components = centres([5000, 20, 20])
    assert np.mean(components == -1) == pytest.approx(0.30, abs=0.06)
    # 35 % among the two small ones alone, 35 % among all three
    assert np.mean(components == 0) == pytest.approx(0.35 / 3, abs=0.05)
    assert np.mean(components == 1) == pytest.approx(0.35 / 2 + 0.35 / 3, abs=0.06)


def test_a_case_without_lesions_is_sampled_in_the_brain(tmp_path, blob_refs):
    case = open_cached_case(cache_cases(blob_refs(1, lesions=0), tmp_path, CacheConfig(least_side=16))[0])
    assert len(case.ends) == 0
    assert sample_patch(case, np.random.default_rng(0), side=16, spacing_mm=2.0).labels.sum() == 0


def test_concatenated_batches_keep_their_order(case):
    parts = [sample_patch(case, np.random.default_rng(s), side=16, spacing_mm=2.0) for s in range(3)]
    batch = concatenate_patches(parts)
    assert batch.channels.shape[0] == batch.present.shape[0] == 3
    assert np.array_equal(batch.channels[2], parts[2].channels[0])
