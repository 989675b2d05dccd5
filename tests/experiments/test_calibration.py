"""Calibration of an ensemble from end to end on synthetic cases: resumable, stored, and used by a prediction."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from adumbra import pipeline
from adumbra.core.errors import InputRejected
from adumbra.core.options import InferenceConfig
from adumbra.experiments.calibration import CalibrationMethods, calibrate, fit_calibration
from adumbra.experiments.calibration_samples import CaseSample, sample_of
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import save_weights
from adumbra.segmentation_model import SegmentationModel, load_model
from adumbra.uncertainty.calibration.io import read_calibration, write_calibration
from training.blobs import BlobRef

METADATA = {"architecture": "unet", "spacing_mm": 2.0, "patch": 32, "threshold": 0.02, "training": {}}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> InferenceConfig:
    """Two untrained members without randomness, which share four draws."""
    folder = tmp_path_factory.mktemp("members")
    paths = [folder / f"{seed}.safetensors" for seed in (0, 1)]
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        own = UNetConfig(widths=(8, 8))
        save_weights(path, UNet(own).state_dict(), METADATA | {"config": own.as_json()})
    return InferenceConfig(weights=paths, posterior="deterministic", draws=4, registration="never", calibration="none")


@pytest.fixture(scope="module")
def model(config: InferenceConfig) -> SegmentationModel:
    return load_model("lesion", config)


@pytest.fixture(scope="module")
def sample(model: SegmentationModel) -> CaseSample:
    return sample_of(BlobRef(0).open(), model, generator=np.random.default_rng(0))


def many(sample: CaseSample, n: int) -> list[CaseSample]:
    """Samples under other names, whose volume and Dice vary."""
    copies = []
    for number in range(n):
        case = replace(sample.case, name=f"sub-{number}", true_ml=1.0 + number % 7, dice=(number % 10) / 10)
        voxels = replace(sample.voxels, cases=(case.name,))
        copies.append(CaseSample(case, voxels, sample.rates, f"{number}"))
    return copies


def test_the_draws_belong_to_the_members_in_turn(sample: CaseSample) -> None:
    features = sample.case.features
    assert features.members == (0, 1, 0, 1)
    assert features.draw_ml[:2] == features.draw_ml[2:], "a member without randomness repeats its draw"
    assert 0.0 <= features.member_dice <= 1.0
    assert features.brain_ml > 0.0


def test_predicted_cases_are_stored_and_not_predicted_again(
    config: InferenceConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [BlobRef(number) for number in range(2)]
    first = calibrate(cases, target="lesion", config=config, alpha=0.4, work=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sub-000.npz", "sub-001.npz"]
    with pytest.raises(InputRejected, match="another folder"):
        calibrate(cases, target="lesion", config=replace(config, draws=6), alpha=0.4, work=tmp_path)
    monkeypatch.setattr("adumbra.experiments.calibration_samples.predict_case", None)
    assert calibrate(cases, target="lesion", config=config, alpha=0.4, work=tmp_path) == first


def test_a_calibration_of_an_ensemble_is_stored_and_used(
    config: InferenceConfig, model: SegmentationModel, sample: CaseSample, tmp_path: Path
) -> None:
    methods = CalibrationMethods(interval="normalised", alpha=0.1)
    calibration = fit_calibration(many(sample, 40), model, methods)
    assert calibration.weights == tuple(network.card.sha256 for network in model.networks)
    assert calibration.score is not None
    path = tmp_path / "c.json"
    write_calibration(path, calibration)
    assert read_calibration(path) == calibration
    assert json.loads(path.read_text("utf-8"))["format"] == "adumbra-calibration-2"

    calibrated = load_model("lesion", replace(config, calibration=path))
    prediction = pipeline.predict_case(BlobRef(0).open(), calibrated)
    findings = prediction.findings
    assert prediction.features is not None
    assert prediction.features.draw_ml == pytest.approx(sample.case.features.draw_ml, rel=1e-5)
    assert findings.volume_ml.by == "calibration"
    assert 0.0 <= findings.volume_ml.low <= findings.volume_ml.high <= prediction.features.brain_ml
    assert findings.score is not None
    assert findings.score.members == 2
    assert findings.score.similar_cases >= 10
    assert findings.width is not None
    assert findings.width.members + findings.width.within + findings.width.calibration == pytest.approx(1.0)
    assert "features" not in calibration.as_json(features=False)


def test_few_cases_have_no_meaning_of_the_score(model: SegmentationModel, sample: CaseSample) -> None:
    calibration = fit_calibration(many(sample, 9), model, CalibrationMethods(alpha=0.1))
    assert calibration.score is None
    assert calibration.volume is not None
    assert calibration.winkler == {}


def test_cases_without_the_target_are_refused(model: SegmentationModel, sample: CaseSample) -> None:
    empty = [replace(s, case=replace(s.case, true_ml=0.0)) for s in many(sample, 9)]
    with pytest.raises(InputRejected, match="at least one with a lesion"):
        fit_calibration(empty, model, CalibrationMethods(alpha=0.1))
