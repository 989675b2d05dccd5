"""The command line: its frozen options, its exit codes and its two streams."""

import json
import subprocess
import sys

import pytest

from adumbra import __version__
from adumbra.cli import main as command
from adumbra.cli.main import app, main
from adumbra.core.errors import AmbiguousInput, OutputRefused

OUTPUT = ["--json", "--quiet", "--progress", "--no-progress", "--debug"]
FROZEN = {
    "predict": [
        *["CASE", "--out", "-o", "--target", "--posterior", "--draws", "--standard-error", "--seed", "--threshold"],
        *["--high-threshold", "--weights", "--calibration", "--no-calibration", "--second-look"],
        *["--device", "--threads"],
        *["--overwrite", "--dwi", "--adc", "--b0", "--flair", "--swi", "--phase", "--tof", "--row", "--column"],
        *["--brain-mask", "--truth", "--b-value", "--adc-unit", "--nan-to-zero", "--registration"],
        *["--no-registration", "--age", "--nihss", "--prestroke-mrs", "--onset-known"],
        *["--hours-since-last-known-well", "--hours-since-recognition", "--hours-since-sleep-midpoint"],
        *["--occlusion-site", "--mass-effect", "--collateral-flow", "--perfusion-penumbra", "--evt-possible"],
        *["--refine", "--refine-windows", *OUTPUT],
    ],
    "simulate": [
        *["--out", "-o", "--cases", "--seed", "--first", "--preset", "--explain"],
        *["--lesion-masks", "--workers", "--overwrite", *OUTPUT],
    ],
    "train": [
        *["--data", "--out", "-o", "--target", "--posterior", "--steps", "--batch", "--learning-rate", "--held-out"],
        *["--fold", "--initial", "--registration", "--no-registration", "--seed", "--device", "--threads", "--workers"],
        *["--patch", "--dry-run", "--backbone", "--fusion", "--regulariser", "--blur", "--blur-mm"],
        *["--diffusion-target", "--regulariser-weight", "--uncertainty-loss", "--loss", "--mirrored"],
        *["--first-pass-dir", "--first-pass-steps"],
        *["--n-phantoms", "--phantom-seed", "--phantom-preset", "--lesion-masks", *OUTPUT],
    ],
    "calibrate": [
        *["--data", "--out", "-o", "--target", "--weights", "--posterior", "--method", "--interval", "--alpha"],
        *["--draws", "--seed", "--registration", "--no-registration", "--device", "--threads", "--overwrite"],
        *["--n-phantoms", "--phantom-seed", "--phantom-preset", "--lesion-masks", *OUTPUT],
    ],
    "evaluate": ["--pred", "--truth", "--target", "--csv", "--overwrite", *OUTPUT],
    "evaluate-uncertainty": [
        *["--pred", "--truth", "--target", "--uncertainty", "--out", "--seed", "--overwrite", *OUTPUT],
    ],
    "information": [
        *["CASES", "--out", "-o", "--target", "--sources", "--regions", "--quantiles", "--bins", "--resamples"],
        *["--permutations", "--reach", "--sided", "--maps", "--weights", "--draws", "--seed"],
        *["--registration", "--no-registration"],
        *["--workers", "--overwrite", "--n-phantoms", "--phantom-seed", "--phantom-preset", "--lesion-masks", *OUTPUT],
    ],
    "report": ["DIRECTORY", "--overwrite", "--no-overwrite", *OUTPUT],
    "demo": ["CASE", "--out", "-o", *OUTPUT],
    "validate": ["PATHS", "--as", "--modality", *OUTPUT],
}


def options(name):
    """Every option and argument of a command, those of its groups included."""
    return [n for argument in app[name].assemble_argument_collection() for n in argument.names if n != "*"]


def test_the_command_line_is_frozen():
    """A change here changes every user's script, so it belongs in the CHANGELOG."""
    commands = [name for name in app if not name.startswith("-")]
    assert {name: options(name) for name in commands} == FROZEN


def test_the_version_states_research_use(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"adumbra {__version__}. Research use only, not for diagnosis.\n"


def test_the_package_runs_as_the_command():
    ran = subprocess.run([sys.executable, "-m", "adumbra", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(f"adumbra {__version__}.")


@pytest.mark.parametrize(
    "tokens",
    [
        ["nope"],
        ["predict"],
        ["predict", "a", "b", "--out", "o"],
        ["predict", "--out", "o"],
        ["predict", "a", "--dwi", "b", "--out", "o"],
        ["predict", "a", "--out", "o", "--column", "swi"],
        ["predict", "a", "--out", "o", "--target", "nothing"],
        ["predict", "a", "--out", "o", "--draws", "many"],
        ["predict", "a", "--out", "o", "--draws", "0"],
        ["predict", "a", "--out", "o", "--threshold", "1.5"],
        ["predict", "a", "--out", "o", "--refine-windows", "4"],
        ["predict", "a", "--out", "o", "--refine", "w.safetensors", "--refine-windows", "2.5"],
        ["simulate", "--out", "o", "--cases", "0"],
        ["simulate", "--cases", "3"],
    ],
)
def test_a_wrong_command_line_exits_with_2_and_names_the_help(tokens, capsys):
    assert main(tokens) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "--help" in streams.err


def make_fail(monkeypatch, error):
    """Makes every command raise the error."""

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(command, "app", fail)


REFUSAL = AmbiguousInput("dwi.nii.gz", expected="one volume", found="30", do="choose one")


def test_rejected_input_exits_with_4_and_four_lines(monkeypatch, capsys):
    make_fail(monkeypatch, REFUSAL)
    assert main(["predict"]) == 4
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.splitlines() == str(REFUSAL).splitlines()
    assert len(streams.err.splitlines()) == 4


def test_rejected_input_as_json_has_its_parts_by_name(monkeypatch, capsys):
    make_fail(monkeypatch, REFUSAL)
    assert main(["predict", "--json"]) == 4
    parts = {"where": "dwi.nii.gz", "expected": "one volume", "found": "30", "do": "choose one"}
    assert json.loads(capsys.readouterr().out) == {"error": {"kind": "AmbiguousInput", **parts}}


def test_refused_output_exits_with_1(monkeypatch):
    make_fail(monkeypatch, OutputRefused("out", expected="an empty folder", found="files", do="add --overwrite"))
    assert main(["predict"]) == 1


def test_a_defect_exits_with_1_and_prints_its_traceback_with_debug_only(monkeypatch, capsys):
    make_fail(monkeypatch, ZeroDivisionError("of a test"))
    assert main(["predict"]) == 1
    quiet = capsys.readouterr().err
    assert "ZeroDivisionError: of a test" in quiet
    assert "Traceback" not in quiet
    assert main(["predict", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_control_c_exits_with_130(monkeypatch, capsys):
    make_fail(monkeypatch, KeyboardInterrupt())
    assert main(["train"]) == 130
    assert capsys.readouterr().err == "Stopped.\n"
