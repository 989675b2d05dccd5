"""``predict``, ``report`` and ``demo``: what they ask of the road, and what they make of its answer."""

import json
from pathlib import Path

import pytest

from adumbra import pipeline
from adumbra.cli.main import main
from adumbra.core.results import Estimate, Findings
from adumbra.simulation import cohort

VOLUME = Estimate(4.18, 3.9, 4.6, 0.95, "ml")
FINDINGS = Findings("lesion", VOLUME, Estimate(21.0, 18.0, 25.0, 0.95, ""), (), ("FLAIR is missing.",))


@pytest.fixture
def asked(monkeypatch):
    """Each call of the road: what it was given. It answers with the same outcome always."""
    calls = []

    def predict(source, *, out, **options):
        calls.append({"source": source, "out": out, **options})
        scores = {"dice": 0.75, "lesion_f1": 0.6} if "truth" in str(options) or "phantom" in str(source) else None
        maps = {"mask": Path("m.nii.gz")}
        return pipeline.PredictionOutcome(
            case="sub-1", maps=maps, report=out / "report.html", findings=FINDINGS, scores=scores
        )

    monkeypatch.setattr(pipeline, "predict", predict)
    monkeypatch.setattr(pipeline, "report", lambda directory, *, overwrite: (directory / f"{overwrite}.html",))
    monkeypatch.setattr(cohort, "simulate", lambda out, **_: [f"sub-phantom{out.name}"])
    return calls


def test_a_case_with_every_default(asked):
    assert main(["predict", "case", "--out", "there", "--quiet"]) == 0
    (call,) = asked
    assert call.pop("progress") is not None
    assert isinstance(call.pop("command"), str)
    assert call == {
        "source": Path("case"),
        "out": Path("there"),
        "target": "lesion",
        "posterior": "",
        "draws": 20,
        "standard_error": 0.01,
        "seed": 0,
        "threshold": None,
        "high_threshold": None,
        "weights": None,
        "calibration": "beside",
        "masks": {},
        "row": None,
        "columns": None,
        "b_value": None,
        "adc_unit": None,
        "nan_to_zero": False,
        "registration": "auto",
        "overwrite": False,
        "device": "auto",
        "threads": None,
    }


def test_files_by_name_and_every_option(asked):
    given = ["--dwi", "d.nii", "--adc", "a.nii", "--brain-mask", "b.nii", "--truth", "t.nii", "--b-value", "800"]
    given += ["--nan-to-zero", "--no-registration", "--overwrite", "--threshold", "0.4", "--draws", "5", "--seed", "9"]
    given += ["--device", "cpu", "--threads", "2", "--weights", "w.safetensors", "--weights", "v.safetensors"]
    given += ["--posterior", "laplace", "--calibration", "c.json", "--standard-error", "0.02"]
    assert main(["predict", *given, "-o", "there", "--quiet"]) == 0
    (call,) = asked
    assert call["source"] == {"dwi": Path("d.nii"), "adc": Path("a.nii")}
    assert call["masks"] == {"brain": Path("b.nii"), "lesion": Path("t.nii")}
    assert (call["b_value"], call["nan_to_zero"], call["registration"]) == (800.0, True, "never")
    assert (call["overwrite"], call["threshold"], call["draws"], call["seed"]) == (True, 0.4, 5, 9)
    asked_of = [call[name] for name in ("posterior", "calibration", "standard_error")]
    assert asked_of == ["laplace", Path("c.json"), 0.02]
    assert (call["device"], call["threads"], call["weights"]) == ("cpu", 2, ["w.safetensors", "v.safetensors"])


def test_a_row_of_a_manifest_with_renamed_columns(asked):
    given = ["--row", "012", "--column", "swi=SWAN", "--column", "phase=PHASE=raw"]
    assert main(["predict", "cohort.csv", *given, "-o", "there", "--quiet"]) == 0
    assert asked[0]["row"] == "012"
    assert asked[0]["columns"] == {"swi": "SWAN", "phase": "PHASE=raw"}


def test_what_a_person_is_told(asked, capsys):
    assert main(["predict", "case", "--truth", "truth.nii", "-o", "there", "--no-progress"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "sub-1: lesion 4.18 ml (95% of the draws: 3.90 to 4.60 ml)",
        "Against the truth: Dice 0.75, lesion-wise F1 0.60",
        "Note: FLAIR is missing.",
        f"Report: {Path('there/report.html')}",
        "Research use only, not for diagnosis.",
    ]


def test_what_a_program_is_told(asked, capsys):
    assert main(["predict", "case", "-o", "there", "--json", "--no-progress"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["volume_ml"] == {"value": 4.18, "low": 3.9, "high": 4.6, "level": 0.95}
    assert told["scores"] is None
    assert told["report"] == str(Path("there/report.html"))
    assert told["notes"] == ["FLAIR is missing.", "Research use only, not for diagnosis."]


def test_report_names_the_page(asked, capsys, tmp_path):
    assert main(["report", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"reports": [str(tmp_path / "True.html")]}
    assert main(["report", str(tmp_path), "--no-overwrite"]) == 0
    assert capsys.readouterr().out == f"Report: {tmp_path / 'False.html'}\n"


def test_demo_predicts_the_phantom_and_then_the_users_case(asked, capsys, tmp_path):
    assert main(["demo", "mine", "--out", str(tmp_path), "--no-progress"]) == 0
    assert [call["source"] for call in asked] == [tmp_path / "phantom" / "sub-phantomphantom", Path("mine")]
    assert len({call["out"] for call in asked}) == 2
    assert all(call["overwrite"] for call in asked)
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == [f"Open in a browser: {call['out'] / 'report.html'}" for call in asked]


def test_draws_may_be_auto_and_the_calibration_none(asked):
    assert main(["predict", "case", "-o", "there", "--quiet", "--draws", "auto", "--no-calibration"]) == 0
    assert (asked[0]["draws"], asked[0]["calibration"]) == ("auto", "none")
    assert main(["predict", "case", "-o", "there", "--no-calibration", "--calibration", "c.json"]) == 2
