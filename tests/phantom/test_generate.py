"""The phantom: deterministic, physical, and showing what it must."""

import json

import numpy as np
import pytest

from adumbra.phantom import scanner, signal
from adumbra.phantom.anatomy import head, template
from adumbra.phantom.generate import Phantom, generate, outlined
from adumbra.phantom.lesion import Outline, stage
from adumbra.phantom.random_fields import smooth_field
from adumbra.space.components import labelled

SEEDS = (3, 11, 12, 19)


@pytest.fixture(scope="module")
def phantoms() -> dict[int, Phantom]:
    return {seed: generate(seed) for seed in SEEDS}


def _same(a: Phantom, b: Phantom) -> bool:
    pairs = [(a.case.scans[m].data, b.case.scans[m].data) for m in a.case.scans]
    return all(x.tobytes() == y.tobytes() for x, y in pairs) and a.parameters == b.parameters


def test_same_seed_same_bytes_other_seed_other_bytes(phantoms: dict[int, Phantom]) -> None:
    again = generate(SEEDS[0])
    assert _same(phantoms[SEEDS[0]], again)
    assert not _same(phantoms[SEEDS[0]], phantoms[SEEDS[1]])


def test_ambient_randomness_changes_nothing(phantoms: dict[int, Phantom]) -> None:
    np.random.seed(0)  # noqa: NPY002 - on purpose: ambient state must not matter
    assert _same(phantoms[SEEDS[1]], generate(SEEDS[1]))


def test_parameters_are_json_and_complete(phantoms: dict[int, Phantom]) -> None:
    drawn = json.loads(json.dumps(phantoms[SEEDS[0]].parameters))
    assert {"seed", "pattern", "stage", "head", "protocol", "tissues", "diffusion", "flair"} <= set(drawn)


def test_scans_masks_and_grids_belong_together(phantoms: dict[int, Phantom]) -> None:
    for made in phantoms.values():
        scans = made.case.scans
        assert set(scans) == {"dwi", "adc", "b0", "flair"}
        assert scans["dwi"].grid.coincides(scans["adc"].grid)
        assert made.case.masks["lesion"].grid.coincides(scans["dwi"].grid)
        assert scans["dwi"].grid.axcodes == "RAS"
        assert scans["dwi"].b_value in {800.0, 1000.0, 1200.0}


def test_no_fold_in_any_head() -> None:
    for seed in range(4):
        _, drawn = head(np.random.default_rng(seed))
        assert drawn["smallest_jacobian"] > 0


def test_tissue_fractions_are_fractions() -> None:
    subject, _ = head(np.random.default_rng(5))
    for name in ("grey", "white", "csf", "vitreous", "soft", "hyperintense"):
        fraction = getattr(subject, name)
        assert fraction.min() >= 0, name
        assert fraction.max() <= 1 + 1e-5, name
    assert float((subject.grey + subject.white).sum()) * 0.008 > 700  # ml of brain


def test_lesion_is_brighter_than_the_mirror_side(phantoms: dict[int, Phantom]) -> None:
    compared = 0
    for made in phantoms.values():
        mask, dwi = made.case.masks["lesion"].data, made.case.scans["dwi"].data
        mirror = mask[::-1] & (dwi > 0) & ~mask
        if mask.sum() > 50 and mirror.sum() > 50:
            compared += 1
            assert np.median(dwi[mask]) > 1.1 * np.median(dwi[mirror])
    assert compared >= 1


def test_stage_runs_from_low_adc_to_pseudonormal_under_raised_t2() -> None:
    stages = [stage(np.random.default_rng(s)) for s in range(600)]
    acute = [s for s in stages if 3 < s.hours < 48]
    late = [s for s in stages if s.hours > 230]
    assert max(s.adc_factor for s in acute) < 0.75
    assert min(s.adc_factor for s in late) > 0.8
    assert min(s.t2_factor for s in late) > 1.3


def test_patterns_include_showers_single_infarcts_and_none() -> None:
    counts = []
    for seed in range(40, 47):
        made = generate(seed)
        counts.append((made.parameters["pattern"], labelled(made.case.masks["lesion"].data)[1]))
    assert max(n for _, n in counts) >= 8
    assert {"territorial", "shower"} <= {p for p, _ in counts}


def test_smooth_field_has_unit_variance_and_its_scale() -> None:
    field = smooth_field(np.random.default_rng(0), (60, 60, 60), spacing_mm=(2.0, 2.0, 2.0), scale_mm=10)
    assert abs(float(field.std()) - 1) < 0.25
    neighbour = np.corrcoef(field[:-1].ravel(), field[1:].ravel())[0, 1]
    far = np.corrcoef(field[:-15].ravel(), field[15:].ravel())[0, 1]
    assert neighbour > 0.9
    assert abs(far) < 0.25


def test_adc_fit_returns_the_adc_of_a_noiseless_tissue() -> None:
    grey = signal.TISSUES_3T["grey"]
    made = [np.full((2, 2, 2), signal.spin_echo(grey, te_ms=80, b_value=b), np.float32) for b in (0, 1000)]
    assert np.allclose(signal.adc_fit(made[0], made[1], b_value=1000), grey.adc, rtol=1e-3)


def test_adc_fit_of_no_signal_is_zero() -> None:
    nothing, one = np.zeros((1, 1, 2), np.float32), np.ones((1, 1, 2), np.float32)
    assert (signal.adc_fit(nothing, one, b_value=1000) == 0).all()


def test_inversion_recovery_nulls_the_fluid_it_is_timed_for() -> None:
    fluid = signal.TISSUES_3T["csf"]
    nulling = fluid.t1_ms * np.log(2)
    assert signal.inversion_recovery(fluid, te_ms=100, ti_ms=float(nulling), tr_ms=1e9) < 1e-9


def test_slices_keep_the_mean_and_the_place() -> None:
    rng = np.random.default_rng(0)
    subject, _ = head(rng)
    volume = np.zeros(subject.grid.shape, np.float32)
    volume[40, 50, 30:45] = 1
    grid = scanner.slice_grid(subject.grid, 5.0)
    thick = scanner.sliced(volume, subject.grid, 5.0)
    assert thick.shape == grid.shape
    assert float(thick.sum()) * grid.voxel_ml == pytest.approx(15 * subject.grid.voxel_ml, rel=1e-5)
    weights = thick[40, 50]
    slices = np.array([(40, 50, k) for k in range(len(weights))])
    z_thick = (weights * grid.world_mm(slices)[:, 2]).sum() / weights.sum()
    assert z_thick == pytest.approx(subject.grid.world_mm(np.argwhere(volume).mean(axis=0))[2], abs=1e-3)


def test_stacking_conserves_signal_along_the_line() -> None:
    shift = np.zeros((1, 64, 1), np.float32)
    shift[0, :, 0] = 2 * np.exp(-(((np.arange(64) - 32) / 6) ** 2))
    field = scanner.Distortion(shift, (1 - np.gradient(shift, axis=1)).astype(np.float32))
    line = np.zeros((1, 64, 1), np.float32)
    line[0, 10:54] = 1
    assert float(scanner.distorted(line, field).sum()) == pytest.approx(44, rel=0.02)


def test_noise_floor_is_rician() -> None:
    receiver = scanner.Receiver(blur=0.5, thickness_mm=2.0, noise=1.0, ghost=0.0, shading=0.0)
    floor = scanner.received(np.random.default_rng(0), np.zeros((40, 40, 40), np.float32), receiver)
    assert float(floor.mean()) == pytest.approx(np.sqrt(np.pi / 2), rel=0.01)


def test_outline_takes_half_of_the_peak_and_drops_the_invisible() -> None:
    fraction = np.zeros((20, 20, 8), np.float32)
    fraction[4:8, 4:8, 3:5] = 1.0
    fraction[8, 5, 3] = 0.4  # below half of the peak beside it
    fraction[15, 15, 4] = 0.3  # a spot of its own: visible only where contrast is high
    low = outlined(fraction, contrast=1.5, noise=0.01)
    high = outlined(fraction, contrast=2.0, noise=0.01)
    assert low[5, 5, 3]
    assert not low[8, 5, 3]
    assert not low[15, 15, 4]
    assert high[15, 15, 4]
    assert not outlined(fraction, contrast=2.0, noise=0.9).any()


def test_a_given_outline_is_where_it_was_drawn() -> None:
    volume = np.zeros((60, 60, 60), np.uint8)
    volume[20:40, 20:40, 20:40] = 1
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [10, -40, 0]  # a cube of 8 ml at x = 30…49: on the right
    outline = Outline("cube", volume, affine)
    made = next(p for p in (generate(s, outline=outline) for s in range(10)) if p.parameters["outline"] == "cube")
    amount = made.fraction.data.sum() * made.fraction.grid.voxel_ml
    assert 1.0 < amount < 16
    assert abs(made.fraction.grid.world_mm(np.argwhere(made.fraction.data > 0.3).mean(axis=0))[0]) > 15


def test_template_is_symmetric_and_read_once() -> None:
    assert template() is template()
    grey = template().grey.astype(int)
    assert np.abs(grey - grey[::-1]).max() == 0
