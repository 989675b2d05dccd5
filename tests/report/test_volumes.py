"""Volumes as files: integers without loss, clipping at the ends, and the same values when nibabel reads them."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.report.volumes import StoredVolume, stored_exactly, stored_in_steps, volume_bytes


def read(content: bytes) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(content))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([True, False], "u1"), ([-5.0, 32767.0], "i2"), ([0.0, 32768.0], "f4"), ([0.5, 1.0], "f4"), ([np.nan, 1], "f4")],
)
def test_exact_storage_returns_the_given_values(values: list[float], dtype: str) -> None:
    given = np.array(values)
    stored = stored_exactly(given)
    assert stored.values.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(stored.values, given)


def test_steps_are_clipped_and_nan_is_zero() -> None:
    stored = stored_in_steps(np.array([0.014, -0.016, 400, -np.inf, np.inf, np.nan], dtype=np.float32), 0.01)
    assert stored.values.tolist() == [1, -2, 32767, -32767, 32767, 0]
    assert stored.values.dtype == np.int16


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4"])
def test_files_on_an_oblique_grid(native: Grid, dtype: str) -> None:
    values = np.random.default_rng(1).integers(0, 200, native.shape).astype(dtype)
    content = volume_bytes(StoredVolume(values, 0.5, -3.0), native)
    image = read(content)
    np.testing.assert_allclose(image.get_fdata(), values * 0.5 - 3.0)
    for affine, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(affine, native.affine, atol=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert content == volume_bytes(StoredVolume(values.copy(), 0.5, -3.0), native)


def test_a_sheared_grid_has_no_qform() -> None:
    sheared = np.eye(4)
    sheared[0, 1] = 0.1
    image = read(volume_bytes(StoredVolume(np.zeros((3, 4, 5), np.uint8)), Grid((3, 4, 5), sheared)))
    assert image.get_qform(coded=True)[1] == 0
    np.testing.assert_allclose(image.affine, sheared)
