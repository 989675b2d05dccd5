"""Scanners of randomised examinations: ranges and frequencies."""

from typing import get_args

import numpy as np
import pytest

from adumbra.phantom.presets import PRESETS, Contrast, preset_named
from adumbra.phantom.rng import stream
from adumbra.phantom.scanner.randomised_setup import ExaminationQuality, sample_quality, sample_randomised_setup
from adumbra.phantom.scanner.setup import ScannerSetup

CASES = 800


@pytest.fixture(scope="module")
def drawn() -> list[tuple[ExaminationQuality, ScannerSetup]]:
    preset = preset_named("lesion-both")
    assert preset.randomised is not None
    qualities = [sample_quality(stream(seed, "quality"), preset.randomised) for seed in range(CASES)]
    return [(q, sample_randomised_setup(stream(n, "setup"), preset, q)) for n, q in enumerate(qualities)]


def test_sequences_are_missing_as_often_as_in_practice(drawn: list[tuple[ExaminationQuality, ScannerSetup]]) -> None:
    acquired = [setup.sequences for _, setup in drawn]
    assert all("dwi" in s for s in acquired)
    assert 0.07 < np.mean([s == ("dwi",) for s in acquired]) < 0.14
    for modality, least, most in (("adc", 0.16, 0.25), ("b0", 0.45, 0.57), ("flair", 0.30, 0.41)):
        assert least < np.mean([modality not in s for s in acquired]) < most


def test_a_fifth_is_clean_with_all_sequences_and_little_noise(
    drawn: list[tuple[ExaminationQuality, ScannerSetup]],
) -> None:
    clean = [setup for quality, setup in drawn if quality.clean]
    assert 0.17 < len(clean) / CASES < 0.23
    assert all(len(setup.sequences) == 4 and setup.snr["dwi"] >= 25 for setup in clean)
    others = [setup.snr["dwi"] for quality, setup in drawn if not quality.clean]
    assert min(others) < 5
    assert max(others) > 35


def test_scanners_cover_the_fields_the_b_values_and_the_voxels_of_practice(
    drawn: list[tuple[ExaminationQuality, ScannerSetup]],
) -> None:
    setups = [setup for _, setup in drawn]
    assert {s.tesla for s in setups} == {1.5, 3.0}
    b = np.array([s.diffusion.b_value for s in setups])
    assert (b.min(), b.max()) == (800.0, 2500.0)
    assert 0.5 < (b == 1000).mean() < 0.7
    in_plane = [s.stacks["dwi"].in_plane_mm for s in setups]
    assert 0.9 <= min(in_plane) < 1.0
    assert 2.4 < max(in_plane) <= 2.5
    distance = [s.stacks["dwi"].thickness_mm + s.stacks["dwi"].gap_mm for s in setups]
    assert (min(distance), max(distance)) == pytest.approx((2.0, 6.5))


def test_the_arms_differ_in_their_contrasts_alone() -> None:
    arms = [PRESETS[f"lesion-{name}"] for name in ("physics", "mixture", "both")]
    contrasts: list[set[str]] = []
    for arm in arms:
        assert arm.randomised is not None
        assert arm.patterns == arms[0].patterns
        assert (arm.sequences, arm.missing, arm.spacing_mm) == (arms[0].sequences, arms[0].missing, 2.0)
        contrasts.append({sample_quality(stream(n, "quality"), arm.randomised).contrast for n in range(25)})
    assert contrasts == [{"physics"}, {"mixture"}, {"physics", "clustered", "mixture"}]
    contrast: Contrast
    setups = []
    for arm, contrast in zip(arms, get_args(Contrast), strict=True):
        setups.append(sample_randomised_setup(stream(3, "setup"), arm, ExaminationQuality(contrast, clean=False)))
    assert setups[0] == setups[1] == setups[2]
