"""Small files of every kind, as scanners, converters and people write them."""

import json

import nibabel as nib
import numpy as np
import pytest

OBLIQUE = np.array(
    [
        [-1.9966, -0.1161, 0.0031, 118.7],
        [-0.1142, 1.9527, -0.4171, -79.1],
        [-0.0212, 0.4166, 1.956, -57.7],
        [0, 0, 0, 1],
    ]
)


@pytest.fixture
def adc():
    """ADC of a synthetic head in 10⁻³ mm²/s: air 0, brain about 0.8, one ventricle 3, one infarct 0.4; (12, 10, 8)."""
    values = np.zeros((12, 10, 8))
    values[1:-1, 1:-1, 1:-1] = 0.8 + 0.05 * np.random.default_rng(1).standard_normal((10, 8, 6))
    values[5:7, 4:6, 3:5] = 3.0
    values[2:4, 3:5, 3:5] = 0.4
    values[1, 1, 1] = -0.12
    return values


@pytest.fixture
def image():
    """Intensities of a synthetic diffusion-weighted image, (12, 10, 8)."""
    return np.round(300 + 60 * np.random.default_rng(2).standard_normal((12, 10, 8)))


@pytest.fixture
def phase():
    """Wrapped angles of a steep ramp, in radians, (12, 10, 8)."""
    i, j, k = np.indices((12, 10, 8))
    return np.angle(np.exp(1j * (0.9 * i + 0.23 * j + 0.041 * k)))


@pytest.fixture
def lesion():
    mask = np.zeros((12, 10, 8), dtype=np.uint8)
    mask[2:4, 3:5, 3:5] = 1
    return mask


@pytest.fixture
def written(tmp_path):
    """``written(name, data, affine=..., ...)`` writes a NIfTI file with its folders and returns its path."""

    def write(name, data, *, affine=OBLIQUE, dtype=np.float32, header=None, sidecar=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nifti = nib.Nifti1Image(np.asarray(data).astype(dtype), affine, dtype=dtype)
        nifti.header.set_xyzt_units("mm", "sec")
        nifti.set_qform(affine, code=1)
        nifti.set_sform(affine, code=1)
        for key, value in (header or {}).items():
            nifti.header[key] = value
        nib.save(nifti, path)
        if sidecar is not None:
            stem = name.removesuffix(".gz").removesuffix(".nii")
            (tmp_path / f"{stem}.json").write_text(json.dumps(sidecar))
        return path

    return write
