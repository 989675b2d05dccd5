"""Calibration and evaluation of uncertainty in the pipeline: an untrained network, one phantom, synthetic cases."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from adumbra import pipeline
from adumbra.cases.registry import find_cases
from adumbra.cli.main import main
from adumbra.core.case import Case
from adumbra.core.errors import InputRejected, MissingInput, WeightsRejected
from adumbra.core.options import InferenceConfig
from adumbra.experiments.calibration import METHODS, calibrate
from adumbra.experiments.evaluate_uncertainty import evaluate_uncertainty
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import save_weights
from adumbra.simulation import cohort
from adumbra.uncertainty.calibration.io import read_calibration, write_calibration
from training.blobs import BlobRef

METADATA = {"architecture": "unet", "spacing_mm": 2.0, "patch": 32, "threshold": 0.02, "training": {}}
CONFIG = InferenceConfig(draws=3, seed=4, registration="never")


def saved(path: Path, *, seed: int = 0, **config: object) -> Path:
    torch.manual_seed(seed)
    own = UNetConfig(widths=(8, 8, 8), dropout=0.3, **config)  # type: ignore[arg-type]
    save_weights(path, UNet(own).state_dict(), METADATA | {"config": own.as_json()})
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom")
    cohort.simulate(out, cases=1, seed=5, preset_name="diffusion")
    return out


@pytest.fixture
def subject(dataset: Path) -> Path:
    return dataset / cohort.case_name(5, 0)


def blobs(count: int) -> list[BlobRef]:
    return [BlobRef(number) for number in range(count)]


@pytest.fixture(scope="module")
def two_members(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("members")
    return [saved(folder / f"{seed}.safetensors", seed=seed) for seed in range(2)]


def fit(cases, weights, *, draws, alpha, **options):
    """A calibration of these weights for the lesion."""
    config = InferenceConfig(weights=weights, draws=draws, registration=options.pop("registration", "auto"))
    return calibrate(cases, target="lesion", config=config, alpha=alpha, **options)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_fits_all_three_parts(method, weights):
    calibration = fit(blobs(3), weights, method=method, alpha=0.3, draws=2)
    assert set(calibration.cases) == {"sub-000", "sub-001", "sub-002"}
    assert (calibration.posterior, calibration.draws, calibration.target) == ("dropout", 2, "lesion")
    assert calibration.probability is not None
    assert calibration.volume is not None
    assert calibration.volume.level == pytest.approx(0.7)


def test_too_few_cases_for_the_coverage_are_refused(weights):
    with pytest.raises(InputRejected, match="at least 9"):
        fit(blobs(2), weights, alpha=0.1, draws=2)


@dataclass(frozen=True)
class WithoutMask(BlobRef):
    """A case without a mask of the target."""

    def open(self) -> Case:
        case = super().open()
        return replace(case, masks={"brain": case.masks["brain"]})


def test_a_case_without_a_mask_is_refused(weights):
    with pytest.raises(MissingInput, match="mask of the lesion"):
        fit([WithoutMask(0)], weights, alpha=0.5, draws=2)


def test_the_file_beside_the_weights_is_used_and_recorded(tmp_path, weights, subject):
    own = tmp_path / "own.safetensors"
    own.write_bytes(weights.read_bytes())
    calibration = fit(blobs(3), own, alpha=0.3, draws=3)
    write_calibration(tmp_path / "own.calibration.json", calibration)
    config = replace(CONFIG, weights=own)
    plain = pipeline.predict(subject, tmp_path / "plain", config=replace(config, calibration="none"))
    beside = pipeline.predict(subject, tmp_path / "beside", config=config)
    runs = [
        json.loads((tmp_path / name / f"{plain.case}_label-lesion_run.json").read_text())
        for name in ("plain", "beside")
    ]
    assert runs[0]["options"]["calibration"] is None
    assert runs[1]["options"]["calibration"]["cases"] == {"sub-000": "", "sub-001": "", "sub-002": ""}
    assert runs[1]["options"]["threshold"] == pytest.approx(calibration.calibrated_threshold(0.02))
    assert (plain.findings.volume_ml.by, beside.findings.volume_ml.by) == ("draws", "calibration")
    assert beside.findings.volume_ml.level == pytest.approx(0.7)
    assert "calibrated to cover the true volume in 70 %" in beside.report.read_text()
    fewer = pipeline.predict(subject, tmp_path / "fewer", config=replace(config, draws=2))
    assert any("valid for 3 draws only" in note for note in fewer.findings.notes)
    other = pipeline.predict(subject, tmp_path / "other", config=replace(config, posterior="tta"))
    assert other.findings.volume_ml.by == "draws", "the file beside the weights is for their own posterior"


def test_a_calibration_of_other_weights_is_refused(tmp_path, weights, two_members, subject):
    calibration = fit(blobs(3), weights, alpha=0.3, draws=3)
    path = tmp_path / "c.json"
    write_calibration(path, calibration)
    assert read_calibration(path) == calibration
    for others in (two_members[1], two_members):
        with pytest.raises(WeightsRejected, match="fitted for the weights"):
            pipeline.predict(subject, tmp_path / "out", config=replace(CONFIG, weights=others, calibration=path))
    other = replace(CONFIG, weights=weights, posterior="tta", calibration=path)
    with pytest.raises(WeightsRejected, match="fitted for the posterior tta"):
        pipeline.predict(subject, tmp_path / "out", config=other)


def test_evaluating_a_calibration_on_its_own_cases_is_refused(tmp_path, weights, dataset, subject):
    """Cases are the same by their scan if both were files, whatever their names; by their name otherwise."""
    (ref,) = find_cases(dataset)
    of_files = fit([ref], weights, alpha=0.5, draws=2, registration="never")
    in_memory = fit([cohort.PhantomRef(5, 0)], weights, alpha=0.5, draws=2, registration="never")
    assert list(in_memory.cases.values()) == [""]
    for name, calibration in (("files", of_files), ("memory", in_memory)):
        path, out = tmp_path / f"{name}.json", tmp_path / name
        write_calibration(path, calibration)
        pipeline.predict(subject, out, config=replace(CONFIG, weights=weights, calibration=path))
        with pytest.raises(InputRejected, match="not fitted on"):
            evaluate_uncertainty(out)


def test_the_evaluation_of_a_prediction_that_came_with_its_truth(tmp_path, weights, subject, capsys):
    out = tmp_path / "out"
    outcome = pipeline.predict(subject, out, config=replace(CONFIG, weights=weights))
    assert main(["evaluate-uncertainty", "--pred", str(out), "--json", "--no-progress"]) == 0
    result = json.loads(capsys.readouterr().out)
    values = result["cases"][outcome.case]
    assert values["dice"] == pytest.approx(outcome.scores["dice"])
    assert 0.0 <= values["auroc"] <= 1.0
    page = (out / "quality.html").read_text()
    assert "Phantoms are not patients" in page
    assert page.count("<polyline") == 5
    assert json.loads((out / "quality.json").read_text())["cases"][outcome.case]["dice"] == values["dice"]
    assert main(["evaluate-uncertainty", "--pred", str(out), "--no-progress"]) == 1, "an earlier page is not replaced"


def test_the_evaluation_against_masks_of_another_folder(tmp_path, weights, dataset, subject):
    out = tmp_path / "out"
    case = pipeline.predict(subject, out, config=replace(CONFIG, weights=weights)).case
    (truth,) = (dataset / "derivatives").rglob("*label-lesion_mask.nii.gz")
    own, other = evaluate_uncertainty(out), evaluate_uncertainty(out, truths={case: truth})
    assert own.cases[case].values["nll_brain"] == pytest.approx(other.cases[case].values["nll_brain"])
    with pytest.raises(MissingInput, match="truth is known"):
        evaluate_uncertainty(out, truths={"sub-another": truth})


def test_several_weights_are_an_ensemble(tmp_path, two_members, subject):
    config = replace(CONFIG, weights=two_members, posterior="deterministic")
    outcome = pipeline.predict(subject, tmp_path, config=config)
    options = json.loads((tmp_path / f"{outcome.case}_label-lesion_run.json").read_text())["options"]
    assert options["state"]["approximation"] == "ensemble"
    assert len(options["state"]["members"]) == 2


def test_auto_draws_until_the_standard_error_is_reached(tmp_path, weights, subject, monkeypatch):
    monkeypatch.setattr(pipeline, "MOST_DRAWS", 11)
    config = InferenceConfig(weights=weights, seed=0, registration="never", draws="auto")
    counts = []
    for error in (1.0, 1e-9):
        out = tmp_path / str(error)
        outcome = pipeline.predict(subject, out, config=replace(config, standard_error=error))
        counts.append(json.loads((out / f"{outcome.case}_label-lesion_run.json").read_text())["options"]["draws"])
    assert counts == [8, 11]


def test_the_command_writes_a_calibration(tmp_path, weights, capsys):
    options = ["--n-phantoms", "2", "--phantom-seed", "9", "--alpha", "0.4", "--draws", "2", "--no-registration"]
    out = tmp_path / "c.json"
    command = ["calibrate", "--weights", str(weights), "--out", str(out), *options, "--no-progress"]
    assert main([*command, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["cases"]) == 2
    assert len(read_calibration(out).cases) == 2
    assert main(command) == 1, "an earlier file is not replaced"
    assert np.isfinite(read_calibration(out).calibrated_threshold(0.5))
