"""``predict``, ``report`` and ``demo``: how they call the pipeline, and what they print."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from adumbra import assessment, pipeline
from adumbra.cli.main import main
from adumbra.core.case_features import CaseScore, WidthShares
from adumbra.core.clinical_facts import NO_FACTS, ClinicalFacts
from adumbra.core.options import ComputeConfig, InferenceConfig, InputOptions, RefinementConfig, SelectionConfig
from adumbra.core.results import Estimate, Findings, Prediction
from adumbra.simulation import cohort

VOLUME = Estimate(4.18, 3.9, 4.6, 0.95, "ml")
FINDINGS = Findings("lesion", VOLUME, Estimate(21.0, 18.0, 25.0, 0.95, ""), (), ("FLAIR is missing.",))

CLINIC = {"conclusion": ["Lesion of 4 ml.", "No clot was found.", "No rule is met."], "facts": {}, "lesion": None}
CLINIC |= {"thrombus": None, "hypoperfusion": None, "rules": [], "use": "not printed"}
UNREAD = object.__new__(Prediction)  # The command line does not look into it.


@pytest.fixture
def pipeline_calls(monkeypatch):
    """The arguments of each call of the pipeline, which always returns the same outcome."""
    calls = []

    def assess(source, out, **options):
        calls.append({"source": source, "out": out, **options})
        scores = {"dice": 0.75, "lesion_f1": 0.6} if "truth" in str(options) or "phantom" in str(source) else None
        maps = {"mask": Path("m.nii.gz")}
        outcome = pipeline.PredictionOutcome(
            case="sub-1", maps=maps, report=out / "report.html", findings=FINDINGS, scores=scores, prediction=UNREAD,
            warnings=("brain: The brain mask may be wrong.",) if "odd" in str(source) else (),
        )  # fmt: skip
        further = replace(outcome, findings=replace(FINDINGS, target="thrombus"), scores=None)
        targets = {"lesion": outcome} | ({} if options.get("targets") else {"thrombus": further})
        return assessment.Assessment("sub-1", targets, CLINIC, out / "report.html")

    monkeypatch.setattr(assessment, "assess", assess)
    monkeypatch.setattr(assessment, "report", lambda directory, *, overwrite: (directory / f"{overwrite}.html",))
    monkeypatch.setattr(cohort, "simulate", lambda out, **_: [f"sub-phantom{out.name}"])
    return calls


def test_a_case_with_default_options(pipeline_calls):
    """The command line repeats the defaults for --help, so they are compared here."""
    assert main(["predict", "case", "--out", "there", "--quiet"]) == 0
    (call,) = pipeline_calls
    assert call.pop("progress") is not None
    assert isinstance(call.pop("command"), str)
    assert call == {
        "source": Path("case"),
        "out": Path("there"),
        "targets": None,
        "config": InferenceConfig(),
        "inputs": InputOptions(masks={}),
        "facts": NO_FACTS,
        "overwrite": False,
    }


def test_files_by_name_and_every_option(pipeline_calls):
    options = ["--dwi", "d.nii", "--adc", "a.nii", "--brain-mask", "b.nii", "--truth", "t.nii", "--b-value", "800"]
    options += [
        "--nan-to-zero",
        "--no-registration",
        "--overwrite",
        "--threshold",
        "0.4",
        "--draws",
        "5",
        "--seed",
        "9",
    ]
    options += ["--device", "cpu", "--threads", "2", "--weights", "w.safetensors", "--weights", "v.safetensors"]
    options += ["--posterior", "laplace", "--calibration", "c.json", "--standard-error", "0.02"]
    options += ["--high-threshold", "0.8", "--adc-unit", "1e-6mm2/s"]
    assert main(["predict", *options, "-o", "there", "--quiet"]) == 0
    (call,) = pipeline_calls
    assert call["source"] == {"dwi": Path("d.nii"), "adc": Path("a.nii")}
    assert call["targets"] == ["lesion"], "these options belong to the networks of one target"
    assert call["overwrite"] is True
    assert call["inputs"] == InputOptions(
        masks={"brain": Path("b.nii"), "lesion": Path("t.nii")}, b_value=800.0, adc_unit="1e-6mm2/s", nan_to_zero=True
    )
    assert call["config"] == InferenceConfig(
        weights=["w.safetensors", "v.safetensors"],
        posterior="laplace",
        draws=5,
        standard_error=0.02,
        seed=9,
        threshold=0.4,
        high_threshold=0.8,
        calibration=Path("c.json"),
        registration="never",
        compute=ComputeConfig(device="cpu", threads=2),
    )


def test_a_row_of_a_manifest_with_renamed_columns(pipeline_calls):
    options = ["--row", "012", "--column", "swi=SWAN", "--column", "phase=PHASE=raw"]
    assert main(["predict", "cohort.csv", *options, "-o", "there", "--quiet"]) == 0
    assert pipeline_calls[0]["inputs"].row == "012"
    assert pipeline_calls[0]["inputs"].columns == {"swi": "SWAN", "phase": "PHASE=raw"}


def test_the_printed_text(pipeline_calls, capsys):
    command = ["predict", "case", "--target", "lesion", "--truth", "truth.nii", "-o", "there", "--no-progress"]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines() == [
        "sub-1",
        *(f"  {line}" for line in CLINIC["conclusion"]),
        "",
        "sub-1: lesion 4.18 ml (95% of the draws: 3.90 to 4.60 ml)",
        "Against the ground truth: Dice 0.75, lesion-wise F1 0.60",
        "Note: FLAIR is missing.",
        f"Report: {Path('there/report.html')}",
        "Research use only, not for diagnosis.",
    ]


def test_the_printed_width_and_score(pipeline_calls, capsys, monkeypatch):
    width, score = WidthShares(0.2, 0.0, 0.8, "draws"), CaseScore(0.9, 5, 0.7, 0.1, 0.03, 0.3, 30)
    monkeypatch.setattr(sys.modules[__name__], "FINDINGS", replace(FINDINGS, width=width, score=score))
    assert main(["predict", "case", "-o", "there", "--no-progress"]) == 0
    assert capsys.readouterr().out.splitlines()[6:9] == [
        "Sources of the interval's width (squared, logarithmic scale): "
        "members 20%, draws of one member 0%, calibration 80%",
        "Case score: mean Dice of the 5 members with each other: 0.90",
        "Dice was below 0.7 in 3 of 30 calibration cases with a similar score (10%, 95% interval 3 to 30%)",
    ]
    assert main(["predict", "case", "-o", "there", "--json", "--no-progress"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["case_score"]["probability"] == 0.1
    assert result["interval_width"]["calibration"] == 0.8


def test_the_printed_json(pipeline_calls, capsys):
    assert main(["predict", "case", "-o", "there", "--json", "--no-progress"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["volume_ml"] == {"value": 4.18, "low": 3.9, "high": 4.6, "level": 0.95}
    assert result["scores"] is None
    assert (result["components"], result["uncertain_regions"]) == (21.0, 0)
    assert result["report"] == str(Path("there/report.html"))
    assert result["notes"] == ["FLAIR is missing.", "Research use only, not for diagnosis."]
    assert result["target"] == "lesion"
    assert result["further_targets"]["thrombus"]["volume_ml"] == result["volume_ml"]
    assert result["clinic"]["conclusion"] == CLINIC["conclusion"]


def test_facts_of_the_patient_and_several_targets(pipeline_calls, capsys):
    facts = ["--age", "71", "--nihss", "14", "--onset-known", "no", "--hours-since-recognition", "3.5"]
    named = ["--target", "thrombus", "--target", "lesion"]
    assert main(["predict", "case", "-o", "there", "--quiet", "--occlusion-site", "m1", *facts, *named]) == 0
    (call,) = pipeline_calls
    assert call["targets"] == ["thrombus", "lesion"]
    assert call["facts"] == ClinicalFacts(
        age=71.0, nihss=14, onset_known=False, hours_since_recognition=3.5, occlusion_site="m1"
    )
    assert main(["predict", "case", "-o", "there", "--nihss", "43"]) == 2
    assert main(["predict", "case", "-o", "there", "--high-threshold", "0", *named]) == 2
    assert "one --target" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["predict", "odd", "-o", "there"], ["demo", "odd", "-o", "there"]])
def test_warnings_stand_on_stderr_and_in_the_json(command, pipeline_calls, capsys):
    assert main([*command, "--json", "--no-progress"]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    predictions = result.get("predictions", [result])
    assert predictions[-1]["warnings"] == ["brain: The brain mask may be wrong."]
    assert printed.err == "Warning: brain: The brain mask may be wrong.\n"
    assert main([*command, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_report_prints_the_page(pipeline_calls, capsys, tmp_path):
    assert main(["report", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"reports": [str(tmp_path / "True.html")]}
    assert main(["report", str(tmp_path), "--no-overwrite"]) == 0
    assert capsys.readouterr().out == f"Report: {tmp_path / 'False.html'}\n"


def test_demo_predicts_a_phantom_and_then_the_users_case(pipeline_calls, capsys, tmp_path):
    assert main(["demo", "mine", "--out", str(tmp_path), "--no-progress"]) == 0
    assert [call["source"] for call in pipeline_calls] == [tmp_path / "phantom" / "sub-phantomphantom", Path("mine")]
    assert len({call["out"] for call in pipeline_calls}) == 2
    assert all(call["overwrite"] for call in pipeline_calls)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [f"Open in a browser: {call['out'] / 'report.html'}" for call in pipeline_calls]


def test_draws_may_be_auto_and_the_calibration_none(pipeline_calls):
    assert main(["predict", "case", "-o", "there", "--quiet", "--draws", "auto", "--no-calibration"]) == 0
    config = pipeline_calls[0]["config"]
    assert (config.draws, config.calibration) == ("auto", "none")
    assert main(["predict", "case", "-o", "there", "--no-calibration", "--calibration", "c.json"]) == 2


@pytest.mark.parametrize(("given", "expected"), [(["none"], "none"), (["a.safetensors"], ["a.safetensors"])])
def test_the_second_look_may_be_named_or_left_out(pipeline_calls, given, expected):
    options = [word for name in given for word in ("--second-look", name)]
    assert main(["predict", "case", "-o", "there", "--quiet", "--target", "thrombus", *options]) == 0
    assert pipeline_calls[0]["config"].second_look == expected


@pytest.mark.parametrize(
    ("windows", "selection"),
    [
        ([], SelectionConfig()),
        (["--refine-windows", "5"], SelectionConfig(most=5)),
        (["--refine-windows", "0.5"], SelectionConfig(most=None, share=0.5)),
    ],
)
def test_a_second_pass(pipeline_calls, windows, selection):
    command = ["predict", "case", "--out", "there", "--refine", "a.safetensors", "--refine", "b.safetensors"]
    assert main([*command, *windows, "--quiet"]) == 0
    assert pipeline_calls[0]["config"].refinement == RefinementConfig(["a.safetensors", "b.safetensors"], selection)
