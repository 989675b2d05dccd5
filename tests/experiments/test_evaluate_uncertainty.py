"""Calibration and quality on the road: a small untrained network, one phantom on disk, and made cases."""

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
from adumbra.experiments.calibration import METHODS, calibrated
from adumbra.experiments.evaluate_uncertainty import evaluate_uncertainty
from adumbra.networks.unet import UNet, UNetConfig
from adumbra.networks.weights import save_weights
from adumbra.simulation import cohort
from adumbra.uncertainty.calibration.io import read_calibration, write_calibration
from training.blobs import BlobRef

ABOUT = {"architecture": "unet", "spacing_mm": 2.0, "patch": 32, "threshold": 0.02, "training": {}}
READ = {"draws": 3, "seed": 4, "registration": "never"}


def saved(path: Path, *, seed: int = 0, **config: object) -> Path:
    torch.manual_seed(seed)
    own = UNetConfig(widths=(8, 8, 8), dropout=0.3, **config)  # type: ignore[arg-type]
    save_weights(path, UNet(own).state_dict(), ABOUT | {"config": own.as_json()})
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


@pytest.mark.parametrize("method", METHODS)
def test_a_calibration_lowers_the_likelihood_loss_of_what_it_was_fitted_on(method, weights):
    found = calibrated(blobs(3), target="lesion", weights=[weights], method=method, alpha=0.3, draws=2)
    assert set(found.cases) == {"sub-000", "sub-001", "sub-002"}
    assert (found.posterior, found.draws, found.target) == ("dropout", 2, "lesion")
    assert found.probability is not None
    assert found.volume is not None
    assert found.volume.level == pytest.approx(0.7)


def test_too_few_cases_for_the_promise_are_refused(weights):
    with pytest.raises(InputRejected, match="at least 9"):
        calibrated(blobs(2), target="lesion", weights=[weights], alpha=0.1, draws=2)


@dataclass(frozen=True)
class NotOutlined(BlobRef):
    """A case that nobody outlined."""

    def open(self) -> Case:
        case = super().open()
        return replace(case, masks={"brain": case.masks["brain"]})


def test_a_case_without_outline_cannot_be_calibrated_on(weights):
    with pytest.raises(MissingInput, match="outline of the lesion"):
        calibrated([NotOutlined(0)], target="lesion", weights=[weights], alpha=0.5, draws=2)


def test_the_file_beside_the_weights_is_used_and_recorded(tmp_path, weights, subject):
    own = tmp_path / "own.safetensors"
    own.write_bytes(weights.read_bytes())
    found = calibrated(blobs(3), target="lesion", weights=[own], alpha=0.3, draws=3)
    write_calibration(tmp_path / "own.calibration.json", found)
    plain = pipeline.predict(subject, out=tmp_path / "plain", weights=own, calibration="none", **READ)
    beside = pipeline.predict(subject, out=tmp_path / "beside", weights=own, **READ)
    runs = [json.loads((tmp_path / name / f"{plain.case}_run.json").read_text()) for name in ("plain", "beside")]
    assert runs[0]["options"]["calibration"] is None
    assert runs[1]["options"]["calibration"]["cases"] == {"sub-000": "", "sub-001": "", "sub-002": ""}
    assert runs[1]["options"]["threshold"] == pytest.approx(found.moved(0.02))
    assert (plain.findings.volume_ml.by, beside.findings.volume_ml.by) == ("draws", "calibration")
    assert beside.findings.volume_ml.level == pytest.approx(0.7)
    assert "calibrated to hold the true volume in 70 %" in beside.report.read_text()
    fewer = pipeline.predict(subject, out=tmp_path / "fewer", weights=own, **READ | {"draws": 2})
    assert any("calibrated one is for 3 draws" in note for note in fewer.findings.notes)
    other = pipeline.predict(subject, out=tmp_path / "other", weights=own, posterior="tta", **READ)
    assert other.findings.volume_ml.by == "draws", "what lies beside the weights is for their own posterior"


def test_a_calibration_of_other_weights_is_refused(tmp_path, weights, two_members, subject):
    found = calibrated(blobs(3), target="lesion", weights=[weights], alpha=0.3, draws=3)
    write_calibration(tmp_path / "c.json", found)
    assert read_calibration(tmp_path / "c.json") == found
    for others in (two_members[1], two_members):
        with pytest.raises(WeightsRejected, match="fitted for the weights"):
            pipeline.predict(subject, out=tmp_path / "out", weights=others, calibration=tmp_path / "c.json", **READ)
    with pytest.raises(WeightsRejected, match="fitted for the posterior tta"):
        pipeline.predict(subject, out=tmp_path / "out", weights=weights, posterior="tta",
                     calibration=tmp_path / "c.json", **READ)  # fmt: skip


def test_judging_a_calibration_on_its_own_cases_is_refused(tmp_path, weights, dataset, subject):
    """By the scan where both were files, whatever they are called; by the name where one was not."""
    (ref,) = find_cases(dataset)
    of_files = calibrated([ref], target="lesion", weights=[weights], alpha=0.5, draws=2, registration="never")
    in_memory = calibrated(
        [cohort.PhantomRef(5, 0)], target="lesion", weights=[weights], alpha=0.5, draws=2, registration="never"
    )
    assert list(in_memory.cases.values()) == [""]
    for name, found in (("files", of_files), ("memory", in_memory)):
        write_calibration(tmp_path / f"{name}.json", found)
        out = tmp_path / name
        pipeline.predict(subject, out=out, weights=weights, calibration=tmp_path / f"{name}.json", **READ)
        with pytest.raises(InputRejected, match="not fitted on"):
            evaluate_uncertainty(out)


def test_quality_of_a_prediction_that_came_with_its_truth(tmp_path, weights, subject, capsys):
    out = tmp_path / "out"
    outcome = pipeline.predict(subject, out=out, weights=weights, **READ)
    assert main(["evaluate-uncertainty", "--pred", str(out), "--json", "--no-progress"]) == 0
    told = json.loads(capsys.readouterr().out)
    values = told["cases"][outcome.case]
    assert values["dice"] == pytest.approx(outcome.scores["dice"])
    assert 0.0 <= values["auroc"] <= 1.0
    page = (out / "quality.html").read_text()
    assert "Phantoms are not patients" in page
    assert page.count("<polyline") == 5
    assert json.loads((out / "quality.json").read_text())["cases"][outcome.case]["dice"] == values["dice"]
    assert main(["evaluate-uncertainty", "--pred", str(out), "--no-progress"]) == 1, "an earlier page is not replaced unasked"


def test_quality_against_outlines_of_another_place(tmp_path, weights, dataset, subject):
    out = tmp_path / "out"
    case = pipeline.predict(subject, out=out, weights=weights, **READ).case
    (truth,) = (dataset / "derivatives").rglob("*label-lesion_mask.nii.gz")
    own, other = evaluate_uncertainty(out), evaluate_uncertainty(out, truths={case: truth})
    assert own.cases[case].values["nll_brain"] == pytest.approx(other.cases[case].values["nll_brain"])
    with pytest.raises(MissingInput, match="truth is known"):
        evaluate_uncertainty(out, truths={"sub-another": truth})


def test_several_weights_are_an_ensemble(tmp_path, two_members, subject):
    outcome = pipeline.predict(subject, out=tmp_path, weights=two_members, posterior="deterministic", **READ)
    options = json.loads((tmp_path / f"{outcome.case}_run.json").read_text())["options"]
    assert options["state"]["approximation"] == "ensemble"
    assert len(options["state"]["members"]) == 2


def test_auto_draws_until_the_mean_is_known(tmp_path, weights, subject, monkeypatch):
    monkeypatch.setattr(pipeline, "MOST_DRAWS", 11)
    about = {"weights": weights, "seed": 0, "registration": "never", "draws": "auto"}
    counts = []
    for error in (1.0, 1e-9):
        outcome = pipeline.predict(subject, out=tmp_path / str(error), standard_error=error, **about)
        counts.append(json.loads((tmp_path / str(error) / f"{outcome.case}_run.json").read_text())["options"]["draws"])
    assert counts == [8, 11]


def test_the_command_writes_a_calibration(tmp_path, weights, capsys):
    given = ["--n-phantoms", "2", "--phantom-seed", "9", "--alpha", "0.4", "--draws", "2", "--no-registration"]
    out = tmp_path / "c.json"
    command = ["calibrate", "--weights", str(weights), "--out", str(out), *given, "--no-progress"]
    assert main([*command, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["cases"]) == 2
    assert len(read_calibration(out).cases) == 2
    assert main(command) == 1, "an earlier file is not replaced unasked"
    assert np.isfinite(read_calibration(out).moved(0.5))
