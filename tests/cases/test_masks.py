"""Masks in every number type and value that files use, and values that are not a mask."""

import numpy as np
import pytest

from adumbra.cases.masks import mask_from_values
from adumbra.cases.scan import read_mask
from adumbra.core.errors import AmbiguousInput, ImplausibleValues


@pytest.mark.parametrize(
    ("inside", "dtype"),
    [(1, "u1"), (1, "u2"), (1, "i2"), (255, "u1"), (0.9999999998, "f8"), (1, "f4"), (1000, "i4"), (2, "i8")],
)
def test_a_mask_is_a_mask_in_any_number(written, lesion, inside, dtype):
    scan, notes = read_mask(written("m.nii.gz", lesion.astype(float) * inside, dtype=dtype), "lesion")
    np.testing.assert_array_equal(scan.data[::-1], lesion.astype(bool))
    assert len(notes) == (inside != 1)


def test_a_mask_scaled_by_the_header(written, lesion):
    path = written("m.nii", lesion, dtype=np.int16)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([0.003921569, 0], dtype="<f4").tobytes()
    content[352:] = (lesion.astype("<i2") * 255).ravel(order="F").tobytes()
    path.write_bytes(content)
    assert read_mask(path, "lesion")[0].data.sum() == 8


def test_an_empty_mask_is_valid(written, lesion):
    assert not read_mask(written("m.nii.gz", lesion * 0, dtype=np.uint8), "lesion")[0].data.any()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([0, 1, 2], AmbiguousInput, "labels 0, 1, 2"),
        ([0, 0.5, 1], ImplausibleValues, r"0, 0\.5, 1"),
        ([-1, 0, 0], ImplausibleValues, "-1, 0"),
        ([-1, 0, 1], ImplausibleValues, "-1, 0, 1"),
        ([1, 1, 1], ImplausibleValues, "1 values: 1"),
        ([1, 2, 2], ImplausibleValues, "1, 2"),
        ([0, 0.9, 1], ImplausibleValues, r"0\.9"),
    ],
)
def test_values_that_are_not_a_mask_are_refused_and_listed(values, error, message):
    with pytest.raises(error, match=message):
        mask_from_values(np.array(values, dtype=np.float64).reshape(3, 1, 1), where="m.nii.gz", name="lesion")
    if all(v == int(v) >= 0 for v in values):
        with pytest.raises(error, match=message):
            mask_from_values(np.array(values, dtype=np.uint8).reshape(3, 1, 1), where="m.nii.gz", name="lesion")
