"""Random contrasts: free for tissue, bound for the infarct."""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head, sample_head
from adumbra.phantom.body import Body, build_body
from adumbra.phantom.pathology.disease import sample_varied_disease
from adumbra.phantom.pathology.lesion import Stage
from adumbra.phantom.physics.signal import adc_fit
from adumbra.phantom.scanner.mixture import NoiseFreeImages, sample_clustered_texture, sample_random_contrast
from adumbra.phantom.scanner.sequences import Texture, sample_texture

ACUTE, SUBACUTE = Stage(6.0, 0.6, 1.05, 1.03), Stage(250.0, 1.05, 1.9, 1.35)


@pytest.fixture(scope="module")
def patient() -> tuple[Head, Body, Volume]:
    """A head with a territorial infarct, and its infarcted fraction."""
    rng = np.random.default_rng(8)
    head = sample_head(rng, spacing_mm=4.0)[0]
    disease = sample_varied_disease(rng, head, patterns={"large": 1.0})
    infarct = (disease.infarct > 0.5).astype(np.float32)
    none = np.zeros_like(infarct)
    disease = replace(disease, infarct=infarct, cavity=none, gliosis=none)
    return head, build_body(rng, head, None, disease, b0_tesla=3.0, magnetic=False), infarct


def images(patient: tuple[Head, Body, Volume], seed: int, stage: Stage = ACUTE) -> NoiseFreeImages:
    head, body, _ = patient
    return sample_random_contrast(np.random.default_rng(seed), head, body, stage=stage, b_value=1000.0)


def test_contrasts_differ_from_case_to_case_in_every_sequence(patient: tuple[Head, Body, Volume]) -> None:
    head, _, infarct = patient
    grey, white = ((t > 0.8) & (infarct == 0) for t in (head.grey, head.white))
    drawn = [images(patient, seed) for seed in range(9)]
    for name in ("dwi", "b0", "flair"):
        volumes = [{"dwi": i.dwi, "b0": i.b0, "flair": i.flair}[name] for i in drawn]
        ratios = np.log([np.median(v[grey]) / np.median(v[white]) for v in volumes])
        assert ratios.std() > 0.1
        assert ratios.min() < 0 < ratios.max()
        assert all(np.isfinite(v).all() and v.min() >= 0 for v in volumes)


def test_the_infarct_is_brighter_on_dwi_than_the_tissue_that_it_replaces(patient: tuple[Head, Body, Volume]) -> None:
    head, _, infarct = patient
    for seed in range(9):
        image = images(patient, seed)
        for tissue in (head.grey, head.white):
            inside, normal = (tissue > 0.8) & (infarct > 0), (tissue > 0.8) & (infarct == 0)
            assert np.median(image.dwi[inside]) > 1.1 * np.median(image.dwi[normal])
        assert 1.35 <= image.infarct_contrast <= 3.0


@pytest.mark.parametrize(("stage", "least", "most"), [(ACUTE, 0.45, 0.75), (SUBACUTE, 0.9, 1.25)])
def test_the_adc_follows_the_age_of_the_infarct(
    patient: tuple[Head, Body, Volume], stage: Stage, least: float, most: float
) -> None:
    head, _, infarct = patient
    ratios = []
    for seed in range(6):
        image = images(patient, seed, stage)
        adc = adc_fit(image.b0, image.dwi, b_value=1000.0)
        inside, normal = (head.tissue > 0.9) & (infarct > 0), (head.tissue > 0.9) & (infarct == 0)
        ratios.append(float(np.median(adc[inside]) / np.median(adc[normal])))
        assert 0.55 < np.median(adc[normal]) < 1.15
    assert least < np.median(ratios) < most


def test_clustered_tissue_keeps_its_mean_and_gains_structure(patient: tuple[Head, Body, Volume]) -> None:
    head, body, _ = patient
    plain = sample_texture(np.random.default_rng(0), head, body)
    white, gains = head.white > 0.8, []
    for seed in range(8):
        texture: Texture = sample_clustered_texture(np.random.default_rng(seed), head, plain)
        added = (texture.weight - plain.weight)[white]
        gains.append(added.std())
        assert np.abs(added).max() < 0.6
        assert (texture.weight == plain.weight)[head.tissue == 0].all()
    assert max(gains) > 0.04
