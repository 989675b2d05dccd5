"""Artefacts: Rician noise, the shim, displacement, brighter slices at the ends of a stack."""

import numpy as np
import pytest
from scipy import ndimage

from adumbra.phantom.anatomy.head import sample_head
from adumbra.phantom.anatomy.random_fields import smooth_field
from adumbra.phantom.pathology.lesion import sample_stage
from adumbra.phantom.scanner import artefacts

QUIET = artefacts.Receiver(noise=1.0, ghost=0.0, shading=0.0)


def test_noise_floor_is_rician() -> None:
    floor = artefacts.magnitude_image(np.random.default_rng(0), np.zeros((40, 40, 40), np.float32), QUIET)
    assert float(floor.mean()) == pytest.approx(np.sqrt(np.pi / 2), rel=0.01)


def test_both_channels_of_a_complex_image_have_the_noise() -> None:
    image = artefacts.add_complex_noise(np.random.default_rng(0), np.full((40, 40, 40), 3 + 4j), QUIET)
    assert image.dtype == np.complex64
    assert image.mean() == pytest.approx(3 + 4j, abs=0.02)
    assert (image.real.std(), image.imag.std()) == pytest.approx((1, 1), rel=0.02)


def test_a_ghost_lies_half_a_field_of_view_away() -> None:
    volume = np.zeros((4, 20, 4), np.float32)
    volume[1, 3, 1] = 100
    ghosted = artefacts.magnitude_image(np.random.default_rng(0), volume, artefacts.Receiver(1e-6, 0.05, 0.0))
    assert ghosted[1, 13, 1] == pytest.approx(5, abs=1e-3)


def test_the_shim_removes_quadratic_fields_only() -> None:
    subject, _ = sample_head(np.random.default_rng(1), spacing_mm=4.0)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in subject.grid.shape), indexing="ij")
    smooth = (2 + x - 3 * z + 0.5 * x * y + y * y - z * z).astype(np.float32)
    inside = subject.tissue + subject.csf > 0.5
    assert np.abs(artefacts.shim(smooth, subject)[inside]).max() < 1e-3
    bump = np.exp(-(x**2 + (y - 0.5) ** 2 + (z + 0.3) ** 2) / 0.02).astype(np.float32)
    assert artefacts.shim(smooth + bump, subject).max() > 0.7


def test_displacement_by_hand() -> None:
    """100 Hz over 30 ms are three voxels of 2 mm, the other way with the other polarity; far ones are cut off."""
    field = np.array([[[100.0, 1e5]]], np.float32)
    there = artefacts.echo_planar_shift_mm(field, readout_s=0.03, in_plane_mm=2.0, polarity=1)
    back = artefacts.echo_planar_shift_mm(field, readout_s=0.03, in_plane_mm=2.0, polarity=-1)
    np.testing.assert_allclose(there, [[[6.0, 15.0]]], rtol=1e-5)
    np.testing.assert_allclose(back, -there)


def test_only_the_ends_of_stacks_are_brighter() -> None:
    gains = np.stack([artefacts.sample_slice_gain(np.random.default_rng(s), 30) for s in range(100)])
    assert gains.min() == 1.0
    assert 0.3 < (gains[:, 0] > 1.05).mean() < 0.6
    np.testing.assert_allclose(gains[:, 15], 1.0, atol=0.1)


def test_smooth_field_has_unit_variance_and_its_scale() -> None:
    field = smooth_field(np.random.default_rng(0), (60, 60, 60), spacing_mm=(2.0, 2.0, 2.0), scale_mm=10)
    assert abs(float(field.std()) - 1) < 0.25
    neighbour = np.corrcoef(field[:-1].ravel(), field[1:].ravel())[0, 1]
    far = np.corrcoef(field[:-15].ravel(), field[15:].ravel())[0, 1]
    assert neighbour > 0.9
    assert abs(far) < 0.25


def test_stage_runs_from_low_adc_to_pseudonormal_under_raised_t2() -> None:
    stages = [sample_stage(np.random.default_rng(s)) for s in range(600)]
    acute = [s for s in stages if 3 < s.hours < 48]
    late = [s for s in stages if s.hours > 230]
    assert 0.5 <= min(s.adc_factor for s in acute) < max(s.adc_factor for s in acute) < 0.82
    assert min(s.adc_factor for s in late) > 0.8
    assert min(s.t2_factor for s in late) > 1.3


def test_beyond_the_signal_the_field_is_that_of_the_nearest_tissue() -> None:
    """The field of air has no effect, however strong it is."""
    subject, _ = sample_head(np.random.default_rng(1), spacing_mm=4.0)
    air = subject.air + subject.bone >= 0.5
    field = np.where(air, np.float32(50), np.float32(2))
    extended = artefacts.extend_beyond_signal(field, subject)
    assert (extended[~air] == 2).all()
    near = ndimage.binary_dilation(~air) & air
    assert np.quantile(extended[near], 0.05) == pytest.approx(2, abs=0.01)  # it decays to 0 far from tissue
    assert extended.max() <= 2 + 1e-4
