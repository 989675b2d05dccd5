"""Sub-division of tissue into soft clusters."""

import numpy as np
import pytest

from adumbra.phantom.anatomy.clusters import sample_clusters
from adumbra.phantom.anatomy.head import Head, sample_head


@pytest.fixture(scope="module")
def subject() -> Head:
    return sample_head(np.random.default_rng(11), spacing_mm=4.0)[0]


def test_memberships_sum_to_one_and_no_cluster_is_empty(subject: Head) -> None:
    clusters = sample_clusters(np.random.default_rng(1), subject, subject.white, count=5)
    assert clusters.count == 5
    np.testing.assert_allclose(clusters.weights.sum(axis=1), 1, atol=1e-5)
    assert (clusters.weights.sum(axis=0) > 0.005 * len(clusters.inside)).all()
    constant = clusters.spread(np.full(5, 2.0), outside=-1.0)
    assert constant[subject.white > 0.5] == pytest.approx(2.0, abs=1e-5)
    assert (constant[subject.white == 0] == -1.0).all()


def test_clusters_are_regions_without_stepped_borders_and_differ_between_cases(subject: Head) -> None:
    volumes = []
    for seed in range(4):
        clusters = sample_clusters(np.random.default_rng(seed), subject, subject.grey, count=3)
        volumes.append(clusters.spread(np.array([0.0, 1.0, 2.0])))
    inside = subject.grey > 0.9
    neighbours = inside[1:] & inside[:-1]
    for volume in volumes:
        step = np.abs(np.diff(volume, axis=0))[neighbours].mean()
        apart = np.abs(volume[inside] - np.random.default_rng(0).permutation(volume[inside])).mean()
        assert step < 0.6 * apart  # neighbours resemble each other
    correlations = np.abs(np.corrcoef([v[inside] for v in volumes])[np.triu_indices(4, 1)])
    assert correlations.max() < 0.95


def test_a_single_cluster_is_the_whole_tissue(subject: Head) -> None:
    clusters = sample_clusters(np.random.default_rng(0), subject, subject.white, count=1)
    assert (clusters.weights == 1).all()
    none = sample_clusters(np.random.default_rng(0), subject, np.zeros_like(subject.white), count=4)
    assert none.spread(np.ones(none.count)).sum() == 0
