"""The brain mask of heads whose brain is known, of skull-stripped images, and of degenerate images."""

import time

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid, reorient
from adumbra.core.geometry.resampling import resample
from adumbra.phantom.patient import simulate_patient
from adumbra.phantom.presets import preset_named
from adumbra.preprocessing.brain_mask import extract_brain
from diffusion_series import averaged_series

SHAPES = {
    "2 mm": ((99, 117, 80), (2.0, 2.0, 2.0)),
    "6 mm slices": ((150, 170, 26), (1.4, 1.4, 6.0)),
    "5 mm slices": ((88, 100, 30), (2.5, 2.5, 5.0)),
}


def dice(a, b):
    return 2.0 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize(
    ("name", "scene"),
    [
        ("2 mm", {"infarct": 3.0}),
        ("5 mm slices", {}),
        ("5 mm slices", {"infarct": 6.0}),
        ("5 mm slices", {"noise": 0.15}),
        ("6 mm slices", {"scalp": 0.8}),
    ],
)
def test_the_brain_of_a_head_is_extracted(name, scene, head, grid_around):
    grid = grid_around(*SHAPES[name], tilt_deg=12.0)
    volume, brain = head(grid, **scene)
    mask = extract_brain(volume, grid)
    assert dice(mask, brain) > 0.97
    assert (mask & brain).sum() > 0.96 * brain.sum()


def test_a_bright_infarct_lies_inside_the_mask(head, grid_around):
    grid = grid_around(*SHAPES["5 mm slices"])
    plain, brain = head(grid, noise=0.01)
    bright, _ = head(grid, noise=0.01, infarct=6.0)
    lesion = (bright > 2.0 * 700) & brain
    assert lesion.sum() * grid.voxel_ml > 100
    assert (extract_brain(bright, grid) & lesion).sum() > 0.98 * lesion.sum()
    assert dice(extract_brain(bright, grid), extract_brain(plain, grid)) > 0.98


def test_a_few_slices_are_enough(head, grid_around):
    grid = grid_around((99, 117, 10), (2.0, 2.0, 5.0))
    volume, brain = head(grid)
    assert dice(extract_brain(volume, grid), brain) > 0.97


@pytest.mark.parametrize(("name", "infarct"), [("2 mm", 1.0), ("5 mm slices", 6.0), ("6 mm slices", 0.1)])
def test_a_stripped_image_is_its_filled_content(name, infarct, head, grid_around):
    grid = grid_around(*SHAPES[name])
    volume, brain = head(grid, infarct=infarct)
    assert dice(extract_brain(np.where(brain, volume, np.float32(0)), grid), brain) > 0.995


def test_a_head_with_zeroed_air_is_not_treated_as_skull_stripped(head, grid_around):
    grid = grid_around(*SHAPES["6 mm slices"])
    volume, brain = head(grid, noise=0.05)
    zeroed = np.where(volume < 0.2 * 700, np.float32(0), volume)
    mask = extract_brain(zeroed, grid)
    assert dice(mask, brain) > 0.97


def test_scale_does_not_matter(head, grid_around):
    grid = grid_around(*SHAPES["5 mm slices"])
    volume, _ = head(grid)
    assert np.array_equal(extract_brain(volume, grid), extract_brain(volume * np.float32(0.0078125), grid))


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_any_scale_gives_the_same_mask_but_for_rounding(factor, head, grid_around):
    grid = grid_around(*SHAPES["5 mm slices"])
    volume, _ = head(grid)
    assert dice(extract_brain(volume, grid), extract_brain(volume * np.float32(factor), grid)) > 0.9999


def padded(volume, grid, by, value=0.0):
    """The volume with ``by`` voxels of a value on each side, and its grid."""
    shift = np.eye(4)
    shift[:3, 3] = -by
    wider = np.pad(volume, by, constant_values=np.float32(value))
    return wider, Grid(wider.shape, grid.affine @ shift)


def without_margin(mask, by):
    return mask[(slice(by, -by),) * 3]


@pytest.fixture(scope="module")
def phantom():
    """A phantom without skull stripping: its scans by modality, and its true brain on each."""
    patient = simulate_patient(3, preset=preset_named("diffusion"))
    brain = (patient.head.depth_mm <= 1.0).astype(np.float32)
    scans, truths = {}, {}
    for acquisition in patient.acquisitions.values():
        scans |= acquisition.scans
        truths |= {m: acquisition.sampler.sample(brain, stacks=False) > 0.5 for m in acquisition.scans}
    return scans, truths


@pytest.mark.parametrize("modality", ["dwi", "adc", "b0", "flair"])
def test_every_sequence_alone_shows_the_brain(modality, phantom):
    scans, truths = phantom
    least = 0.85 if modality == "adc" else 0.93  # a map without a mask, whose air is noise and zeros
    assert dice(extract_brain(scans[modality].data, scans[modality].grid), truths[modality]) > least


@pytest.mark.parametrize("value", [0.0, -5.0])
@pytest.mark.parametrize("by", [3, 8, 16])
def test_a_constant_margin_changes_nothing(by, value, phantom):
    scan = phantom[0]["dwi"]
    wider, grid = padded(scan.data + np.float32(1.0), scan.grid, by, value)
    plain = extract_brain(scan.data + np.float32(1.0), scan.grid)
    assert dice(without_margin(extract_brain(wider, grid), by), plain) > 0.99


@pytest.mark.parametrize("modality", ["dwi", "adc", "flair"])
def test_a_turned_image_with_residue_in_its_corners(modality, phantom):
    scan, truth = phantom[0][modality], phantom[1][modality]
    a = np.radians(11.0)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ scan.grid.affine[:3, :3]
    centre = (np.asarray(scan.grid.shape) - 1) / 2
    affine[:3, 3] = scan.grid.world_mm(centre) - affine[:3, :3] @ centre
    grid = Grid(scan.grid.shape, affine)
    volume = resample(scan.data, scan.grid, grid)
    volume = np.where(volume == 0, np.float32(1e-16), volume)
    inside = resample(truth.astype(np.float32), scan.grid, grid) > 0.5
    assert dice(extract_brain(volume, grid), inside) > (0.85 if modality == "adc" else 0.93)


@pytest.mark.parametrize("axcodes", ["LPS", "ASR"])
def test_the_order_of_the_axes_does_not_matter(axcodes, phantom):
    scan = phantom[0]["flair"]
    volume, grid = reorient(scan.data, scan.grid, axcodes)
    back, _ = reorient(extract_brain(volume, grid), grid)
    assert np.array_equal(back, extract_brain(scan.data, scan.grid))


def test_nan_counts_as_not_measured(phantom):
    scan = phantom[0]["b0"]
    damaged = scan.data.copy()
    damaged[:4], damaged[:, :4] = np.nan, np.inf
    zeroed = np.where(np.isfinite(damaged), damaged, np.float32(0))
    assert np.array_equal(extract_brain(damaged, scan.grid), extract_brain(zeroed, scan.grid))


def test_air_that_is_noise_about_zero(phantom):
    scan, truth = phantom[0]["flair"], phantom[1]["flair"]
    signal = float(np.median(scan.data[truth]))
    noise = np.random.default_rng(0).normal(0, 0.08 * signal, scan.data.shape).astype(np.float32)
    assert dice(extract_brain(scan.data + noise, scan.grid), truth) > 0.92


@pytest.mark.parametrize("value", [0.0, 7.0, -3.0])
def test_a_constant_image_has_no_brain(value, grid_around):
    grid = grid_around((20, 20, 8), (2.0, 2.0, 5.0))
    assert not extract_brain(np.full(grid.shape, value, np.float32), grid).any()


def test_the_mask_of_an_image_with_content_is_never_empty(grid_around):
    grid = grid_around((20, 20, 8), (2.0, 2.0, 5.0))
    spot = np.zeros(grid.shape, dtype=np.float32)
    spot[10, 10, 4] = 5.0
    assert np.array_equal(extract_brain(spot, grid), spot > 0)
    assert not extract_brain(np.zeros_like(spot), grid).any()
    noise = np.random.default_rng(0).random(grid.shape, dtype=np.float32)
    assert extract_brain(noise, grid).any()


def test_the_real_stripped_case(isles):
    dwi = isles.scan("dwi")
    mask = extract_brain(dwi.data, dwi.grid)
    assert dice(mask, dwi.data > 0) > 0.97
    lesion = isles.masks["lesion"].data
    assert (mask & lesion).sum() == lesion.sum()


def test_a_real_image_with_noise_and_a_margin_of_zeros(isles):
    dwi = isles.scan("dwi")
    real, imaginary = np.random.default_rng(1).normal(0, 40.0, (2, *dwi.data.shape))
    noisy = np.hypot(dwi.data + real, imaginary).astype(np.float32)
    plain = extract_brain(noisy, dwi.grid)
    wider, grid = padded(noisy, dwi.grid, 3)
    mask = extract_brain(wider, grid)
    assert dice(without_margin(mask, 3), plain) > 0.99
    assert 1200 < mask.sum() * grid.voxel_ml < 1400
    assert dice(plain, extract_brain(dwi.data, dwi.grid)) > 0.93


def test_a_training_pipeline_can_afford_it(head, grid_around):
    grid = grid_around((99, 117, 95), (2.0, 2.0, 2.0))
    volume, _ = head(grid)
    extract_brain(volume, grid)
    start = time.process_time()
    extract_brain(volume, grid)
    assert time.process_time() - start < 1.5  # 0.3 on an idle machine without checked annotations


@pytest.fixture(scope="module")
def philips(shared_data):
    """b0 and the geometric mean of three directions of b = 1000, of a healthy head with its skull."""
    return averaged_series(shared_data / "dicom" / "philips_dwi")


def test_a_real_head_with_its_skull(philips):
    masks = {b: extract_brain(scan.data, scan.grid) for b, scan in philips.items()}
    voxel_ml = philips[0.0].grid.voxel_ml
    # 64 mm of brain above the orbits.
    assert all(850 < mask.sum() * voxel_ml < 1200 for mask in masks.values())
    assert dice(masks[0.0], masks[1000.0]) > 0.92


@pytest.mark.xfail(strict=True, reason="the mask of the b0 misses a rim of 3.7 % of bright cortex, see its card")
def test_the_b0_of_a_real_head_shows_all_of_the_brain(philips):
    masks = {b: extract_brain(scan.data, scan.grid) for b, scan in philips.items()}
    # The scalp is a ring of its own: from the mask's border, dark skull comes first in every direction.
    bright = philips[1000.0].data > 0.5 * np.median(philips[1000.0].data[masks[1000.0]])
    assert (bright & ~masks[0.0]).sum() < 0.03 * masks[0.0].sum()
    assert masks[1000.0].sum() < masks[0.0].sum(), "b0 shows the fluid around the brain too"
