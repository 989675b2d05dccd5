"""Context inputs have the values of the atlas at the place of each voxel."""

import numpy as np
import pytest

from adumbra.core.atlas.context_channels import context_channels, segments_at
from adumbra.core.atlas.deformation import CENTRE_MM, DEGREES, HALF_MM, Deformation
from adumbra.core.atlas.head_context import HeadContext, flip_signs
from adumbra.core.atlas.upstream import mirrored_shares
from adumbra.core.atlas.vessels import SEGMENTS

IDENTITY = Deformation(np.eye(4), np.zeros((3, len(DEGREES))))
FLIP = np.diag([-1.0, 1.0, 1.0, 1.0])
M1_LEFT, SAGITTAL_SINUS, AIR = (-24, 3, -14), (0, -58, 74), (90, 90, 90)


def voxel_at(place_mm):
    """The affine of a volume whose first voxel lies at a place."""
    affine = np.eye(4)
    affine[:3, 3] = place_mm
    return affine


def random_shares(seed=0):
    shares = np.random.default_rng(seed).random((len(SEGMENTS), 2)).astype(np.float32)
    shares[0] = 0
    return shares


def test_an_identity_gives_the_coordinates_of_the_voxels():
    channels = context_channels(HeadContext(IDENTITY), ("coordinates",), voxel_at((-10, -20, 10)), (6, 5, 9))
    expected = (np.indices((6, 5, 9)) + np.array([-10, -20, 10]).reshape(3, 1, 1, 1)) - CENTRE_MM.reshape(3, 1, 1, 1)
    np.testing.assert_allclose(channels, expected / HALF_MM, atol=1e-6)
    far = context_channels(HeadContext(IDENTITY), ("coordinates",), voxel_at((-500, 0, 500)), (1, 1, 1))
    assert far[0, 0, 0, 0] == -1.5
    assert far[2, 0, 0, 0] == 1.5


def test_a_bent_map_is_interpolated_to_hundredths_of_a_millimetre():
    rng = np.random.default_rng(1)
    affine = np.eye(4) + 0.05 * np.pad(rng.normal(size=(3, 4)), ((0, 1), (0, 0)))
    deformation = Deformation(affine, rng.normal(0, 3, (3, len(DEGREES))))
    to_mm = voxel_at((-30, -40, -20))
    points = to_mm[:3, :3] @ np.indices((30, 21, 17)).reshape(3, -1) + to_mm[:3, 3:]
    exact = deformation(points).reshape(3, 30, 21, 17)
    assert np.abs(deformation.of_voxels(to_mm, (30, 21, 17)) - exact).max() < 0.05


@pytest.mark.parametrize(("place", "artery", "vein"), [(M1_LEFT, True, False), (SAGITTAL_SINUS, False, True)])
def test_vessels_are_probable_where_they_run(place, artery, vein):
    values = context_channels(HeadContext(IDENTITY), ("vessels",), voxel_at(place), (1, 1, 1))[:, 0, 0, 0]
    assert ((values > 0.4) == (artery, vein)).all()
    assert (context_channels(HeadContext(IDENTITY), ("vessels",), voxel_at(AIR), (1, 1, 1)) == 0).all()


def test_the_shares_are_those_of_the_artery_at_the_place():
    shares, context = random_shares(), HeadContext(IDENTITY, random_shares())
    assert SEGMENTS[int(segments_at(np.array(M1_LEFT, float).reshape(3, 1))[0])] == "M1 left"
    channels = context_channels(context, ("upstream",), voxel_at(M1_LEFT), (1, 1, 1))[:, 0, 0, 0]
    np.testing.assert_array_equal(channels, shares[SEGMENTS.index("M1 left")])
    whole = context_channels(context, ("vessels", "upstream"), voxel_at((-40, -40, -40)), (80, 60, 60))
    assert whole.shape == (4, 80, 60, 60)
    without = segments_at(context.deformation.of_voxels(voxel_at((-40, -40, -40)), (80, 60, 60))) == 0
    assert 0.1 < without.mean() < 0.9
    assert (whole[2:, without] == 0).all()
    assert (whole[2:, ~without] > 0).all()


def test_without_a_prediction_of_the_lesion_the_shares_are_zero():
    assert (context_channels(HeadContext(IDENTITY), ("upstream",), voxel_at(M1_LEFT), (3, 3, 3)) == 0).all()


def test_a_mirrored_head_has_mirrored_channels():
    inputs, affine, shape = ("coordinates", "vessels", "upstream"), voxel_at((-40, -30, -30)), (81, 40, 40)
    head = context_channels(HeadContext(IDENTITY, random_shares()), inputs, affine, shape)
    mirrored = HeadContext(IDENTITY, mirrored_shares(random_shares()))
    other = context_channels(mirrored, inputs, FLIP @ affine, shape)  # its voxels run from right to left
    signs = np.array(flip_signs(inputs, flipped=True)).reshape(-1, 1, 1, 1)
    off_midline = np.abs(np.arange(-40, 41)) > 4  # there, one side is chosen
    np.testing.assert_allclose(other[:, off_midline], (head * signs)[:, off_midline], atol=1e-5)


def test_only_the_coordinate_across_changes_its_sign():
    assert flip_signs(("vessels", "coordinates"), flipped=True) == [1, 1, -1, 1, 1]
    assert flip_signs(("coordinates",), flipped=False) == [1, 1, 1]
    assert flip_signs(("upstream",), flipped=True) == [1, 1]
