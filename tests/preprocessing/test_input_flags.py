"""Flags of inputs that differ from those of the training, on a head whose tissue, fluid and noise are known.

``docs/how-to/check-your-inputs.md`` has the shares that ``benchmarks/input_flags.py`` measured on phantoms.
"""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.geometry.grid import Grid
from adumbra.preprocessing.input_flags import (
    LEAST_SNR,
    MOST_BRIGHT_TAIL,
    STAGE,
    TRAINED_B,
    bright_tail,
    fluid_to_tissue,
    input_flags,
    signal_to_noise,
)

GRID = Grid((36, 40, 14), np.diag([3.0, 3.0, 6.5, 1.0]))
LESION = ("dwi", "adc", "b0", "flair")


@pytest.fixture
def head(rng):
    """``head(b, noise)``: an aligned case with a brain of tissue, fluid and a small infarct."""

    def build(b=1000.0, noise=5.0):
        brain = np.zeros(GRID.shape, bool)
        brain[4:-4, 4:-4, 1:-1] = True
        adc, s0 = (np.where(brain, value, 0.0) for value in (0.8, 300.0))
        adc += np.where(brain, 0.06 * rng.standard_normal(GRID.shape), 0.0)
        fluid = np.zeros_like(brain)
        fluid[14:22, 10:30, 4:9] = True
        adc[fluid], s0[fluid], adc[26:29, 20:24, 5:7] = 3.0, 1100.0, 0.4
        flair = np.where(fluid, 60.0, s0)
        images = {"b0": s0, "dwi": s0 * np.exp(-adc * b / 1000) * 2, "flair": flair}
        scans = {
            name: Scan(np.abs(v + noise * rng.standard_normal(GRID.shape)).astype(np.float32), GRID, GRID)
            for name, v in images.items()
        }
        scans["dwi"] = replace(scans["dwi"], b_value=b)
        scans["adc"] = Scan(adc.astype(np.float32), GRID, GRID, source="adc.nii")
        return Case("c", scans, {"brain": Scan(brain, GRID, GRID)})

    return build


def names_of(case, target="lesion", modalities=LESION, **options):
    """The names of the warnings, and those of the notes."""
    flags = input_flags(case, target=target, modalities=modalities, **options)
    assert all(flag.stage == STAGE and flag.what for flag in flags)
    return [f.values["flag"] for f in flags if f.warning], [f.values["flag"] for f in flags if not f.warning]


def without(case, *modalities):
    return case.updated(scans={m: s for m, s in case.scans.items() if m not in modalities})


def with_image(case, modality, **changes):
    return case.updated(scans={**case.scans, modality: replace(case.scans[modality], **changes)})


def test_a_usual_case_has_no_flag(head):
    assert names_of(head()) == ([], [])


def test_a_slab_of_the_head_is_flagged(head):
    """28 · 32 · 12 voxels of 58.5 mm³ are 0.63 l, and half of them are not enough."""
    case = head()
    brain = case.masks["brain"].data.copy()
    brain[:, :, 7:] = False
    slab = case.updated(masks={"brain": Scan(brain, GRID, GRID)})
    assert names_of(slab) == (["partial"], [])
    (flag,) = input_flags(slab, target="lesion", modalities=LESION)
    assert "0.31 l of brain" in flag.what


@pytest.mark.parametrize(
    ("b", "b_range", "flagged"),
    [(600.0, None, True), (700.0, None, False), (1600.0, None, False), (1601.0, None, True),
     (2500.0, (800.0, 2500.0), False), (2500.0, (800.0, 1200.0), True), (1400.0, (800.0, 1200.0), True)],
)  # fmt: skip
def test_the_b_value_is_compared_with_the_card(head, b, b_range, flagged):
    case = with_image(head(), "dwi", b_value=b)
    assert ("b_value" in names_of(case, b_range=b_range)[0]) == flagged
    if flagged:
        (flag,) = input_flags(case, target="lesion", modalities=LESION, b_range=b_range)
        low, high = b_range or TRAINED_B
        training = "the training" if b_range else "most of the training"
        assert flag.what == (
            f"b = {b:g} s/mm² lies outside {low:g} to {high:g} s/mm², the b-values of {training} of the networks"
        )


def test_an_unknown_b_value_is_no_flag(head):
    assert names_of(with_image(head(), "dwi", b_value=None)) == ([], [])


def test_a_missing_adc_is_a_warning_and_other_missing_images_are_notes(head):
    assert names_of(without(head(), "adc")) == (["no_adc"], [])
    assert names_of(without(head(), "b0", "flair")) == ([], ["no_b0", "no_flair"])
    (flag,) = input_flags(without(head(), "adc"), target="lesion", modalities=LESION)
    assert "T2 shine-through cannot be told from restricted diffusion" in flag.what


def test_a_modality_that_the_network_does_not_use_is_not_missed(head):
    assert names_of(without(head(), "adc"), modalities=("dwi",)) == ([], [])


def test_the_thrombus_misses_the_swi_and_not_the_adc(head):
    case = head()
    tof = case.updated(scans={"tof": replace(case.scans["b0"], native=Grid((60, 60, 30), np.eye(4)))})
    assert names_of(tof, target="thrombus", modalities=("swi", "phase", "tof", "dwi")) == (
        ["no_swi"],
        ["no_phase", "no_dwi"],
    )


@pytest.mark.parametrize(("given", "source"), [("dwi", "b0"), ("dwi", "adc"), ("b0", "dwi"), ("flair", "b0")])
def test_another_contrast_is_flagged(head, given, source):
    case = head()
    wrong = with_image(case, given, data=case.scans[source].data)
    assert names_of(wrong)[0] == ["contrast"]


@pytest.mark.parametrize("source", ["b0", "adc"])
def test_without_an_adc_a_contrast_with_much_bright_fluid_is_flagged(head, source):
    case = head()
    assert names_of(without(case, "adc", "b0"))[0] == ["no_adc"]
    wrong = with_image(case, "dwi", data=case.scans[source].data)
    assert names_of(without(wrong, "adc", "b0"))[0] == ["no_adc", "contrast"]


def test_fluid_and_tissue_are_measured_where_the_adc_shows_them(head):
    case = head(noise=0.0)
    assert fluid_to_tissue(case, "b0") == pytest.approx(1100 / 300, rel=0.01)
    assert fluid_to_tissue(case, "dwi") == pytest.approx(1100 / 300 * np.exp(-2.2), rel=0.05)
    assert fluid_to_tissue(without(case, "adc"), "dwi") is None
    dry = with_image(case, "adc", data=np.minimum(case.scans["adc"].data, 1.0).astype(np.float32))
    assert fluid_to_tissue(dry, "dwi") is None


@pytest.mark.parametrize(("factor", "flagged"), [(1.0, False), (0.5, True), (2.2, True)])
def test_an_unusual_adc_file_is_flagged_once(head, factor, flagged):
    case = head()
    wrong = with_image(case, "adc", data=(case.scans["adc"].data * factor).astype(np.float32))
    flags = [f for f in input_flags(wrong, target="lesion", modalities=LESION) if f.values["flag"] == "adc"]
    assert len(flags) == flagged
    computed = wrong.updated(Conversion("preprocessing.adc", "adc", "computed"))
    assert "adc" not in names_of(computed)[0]


@pytest.mark.parametrize(
    ("spacing_mm", "flagged"),
    [((2.0, 2.0, 6.5), False), ((3.6, 3.6, 5.0), True), ((1.0, 9.0, 1.0), True), ((50.0, 50.0, 50.0), True)],
)
def test_coarse_voxels_are_flagged_by_the_file_they_come_from(head, spacing_mm, flagged):
    native = Grid(GRID.shape, np.diag([*spacing_mm, 1.0]))
    assert ("voxels" in names_of(with_image(head(), "dwi", native=native))[0]) == flagged


@pytest.mark.parametrize("true", [4.0, 20.0, 50.0])
def test_the_signal_to_noise_ratio_is_estimated(rng, true):
    brain = np.zeros(GRID.shape, bool)
    brain[3:-3, 3:-3] = True
    structure = 100.0 + 10.0 * np.sin(np.arange(GRID.shape[0]) / 6.0)[:, None, None] + 0 * brain
    noisy = structure + rng.normal(0.0, 100.0 / true, GRID.shape)
    ratio = signal_to_noise(Scan(noisy.astype(np.float32), GRID, GRID), brain)
    assert ratio == pytest.approx(true, rel=0.06)
    turned = Grid((14, 36, 40), np.diag([4.0, 2.0, 2.0, 1.0]))
    moved = Scan(np.moveaxis(noisy, -1, 0).astype(np.float32), turned, turned)
    assert signal_to_noise(moved, np.moveaxis(brain, -1, 0)) == pytest.approx(ratio)


def test_a_noisy_image_is_flagged_and_a_mask_without_brain_is_not_measured(head):
    assert LEAST_SNR > 5
    assert "noise" in names_of(head(noise=80.0))[0]
    assert signal_to_noise(head().scans["dwi"], np.zeros(GRID.shape, bool)) is None


def test_an_empty_brain_gives_no_flag_of_its_values(head):
    case = head()
    empty = case.updated(masks={"brain": Scan(np.zeros(GRID.shape, bool), GRID, GRID)})
    assert names_of(empty) == ([], [])
    assert names_of(without(empty, "adc")) == (["no_adc"], [])


def test_the_bright_tail_by_hand():
    values = np.concatenate([np.linspace(90, 110, 900), np.full(100, 300.0)])
    low, median, high = np.percentile(values, (5, 50, 95))
    assert bright_tail(values) == pytest.approx(0.1 * (high - median) / (median - low))
    assert bright_tail(values) > MOST_BRIGHT_TAIL
    assert bright_tail(np.zeros(1000)) is None
    assert bright_tail(values[:10]) is None
