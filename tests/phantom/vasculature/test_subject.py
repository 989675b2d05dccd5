"""The vessels of a subject: carried from the template by the deformation, with territories."""

import numpy as np
import pytest

from adumbra.phantom.anatomy.head import Head, sample_head
from adumbra.phantom.vasculature.subject import Vasculature, sample_vasculature


@pytest.fixture(scope="module")
def subject() -> Head:
    return sample_head(np.random.default_rng(4))[0]


@pytest.fixture(scope="module")
def vessels(subject: Head) -> Vasculature:
    return sample_vasculature(np.random.default_rng(4), subject)


def test_vessels_lie_in_the_subject_as_in_the_template(subject: Head, vessels: Vasculature) -> None:
    """Carried back by the deformation, the trunk of the middle cerebral artery and the sagittal sinus fit."""

    def in_template(points_mm: np.ndarray) -> np.ndarray:
        index = np.rint(subject.grid.index(points_mm)).astype(int)
        index = index[((index >= 0) & (index < subject.grid.shape)).all(axis=1)]
        return subject.mni_mm[(slice(None), *index.T)].T

    trunk = in_template(vessels.arteries.points_mm[vessels.arteries.nodes("M1_R")[:10]])
    assert (trunk[:, 0] > 8).all()
    assert np.abs(trunk[:, 2] + 14).max() < 10
    sinus = in_template(vessels.veins.points_mm[vessels.veins.nodes("SSS")])
    assert len(sinus) > 20
    assert np.abs(sinus[:, 0]).max() < 5


def test_every_voxel_of_tissue_has_a_territory(vessels: Vasculature) -> None:
    labels = vessels.territories
    assert ((labels > 0) == vessels.tissue).all()
