"""``adumbra validate``: its exit codes, its lines, its JSON, and that it loads no torch."""

import json
import subprocess
import sys

import pytest

from adumbra.cli.main import main
from gate_files import adc, dwi, file, image, mask


@pytest.fixture
def valid(tmp_path):
    return image("x_dwi.nii", dwi)(tmp_path)[0]


@pytest.fixture
def refused(tmp_path):
    return image("y_dwi.nii", mask)(tmp_path)[0]


def test_valid_paths_exit_with_0(valid, capsys):
    assert main(["validate", str(valid)]) == 0
    streams = capsys.readouterr()
    assert (
        streams.out
        == "valid    x_dwi.nii: image, modality dwi, shape [24, 24, 16], spacing_mm [4.0, 4.0, 5.0], axes LAS\n"
    )
    assert streams.err == ""


def test_a_warning_exits_with_0(tmp_path, capsys):
    (path,) = image("x_dwi.nii", dwi, qoffset_x=49.0)(tmp_path)
    assert main(["validate", str(path)]) == 0
    assert capsys.readouterr().out.startswith(
        "warning  x_dwi.nii: The sform was used; the qform places voxels up to 3.0"
    )


def test_one_refused_path_exits_with_1_and_has_one_line(valid, refused, capsys):
    assert main(["validate", str(valid), str(refused)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["valid", "refused"]
    assert lines[1] == (
        "refused  y_dwi.nii: found only the values 0 and 1, as of a mask; expected an image of the dwi with more than"
        " two values; remedy: give the dwi image itself"
    )


@pytest.mark.parametrize(
    "tokens",
    [[], ["--as", "picture", "a.nii"], ["--as", "pair", "a.nii"], ["a.nii", "--modality", "ct"],
     ["a.nii", "--as", "mask", "--modality", "dwi"], ["a.nii", "--nope"]],
)  # fmt: skip
def test_a_wrong_command_line_exits_with_2(tokens, capsys):
    assert main(["validate", *tokens]) == 2
    assert "adumbra validate --help" in capsys.readouterr().err


def test_json_has_every_part(valid, refused, capsys):
    assert main(["validate", str(valid), str(refused), "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["valid"], result["warning"], result["refused"]) == (1, 0, 1)
    accepted, other = result["verdicts"]
    assert accepted["status"] == "valid"
    assert accepted["facts"]["shape"] == [24, 24, 16]
    assert len(accepted["facts"]["sha256"]) == 64
    (reason,) = other["refusals"]
    assert set(reason) == {"line", "error", "where", "found", "expected", "do"}
    assert reason["error"] == "ImplausibleValues"


def test_a_stated_modality_is_used(tmp_path):
    (path,) = image("scan.nii", adc)(tmp_path)
    assert main(["validate", str(path), "--modality", "swi", "--quiet"]) == 1


def test_a_name_that_shows_no_kind_is_refused_with_the_option(tmp_path, capsys):
    (path,) = file("readme.txt", b"1")(tmp_path)
    assert main(["validate", str(path)]) == 1
    assert "--as" in capsys.readouterr().out


def test_names_cannot_write_to_the_terminal(tmp_path, capsys):
    (path,) = image("x\x1b[2J\n\u202e_dwi.nii", mask)(tmp_path)
    assert main(["validate", str(path)]) == 1
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_no_torch_is_loaded(valid):
    code = (
        "import json, sys\nfrom adumbra.cli.main import main\n"
        f"code = main(['validate', {str(valid)!r}])\nprint(json.dumps([code, sorted(sys.modules)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert {"torch", "SimpleITK", "nilearn", "skimage"} & set(modules) == set()
