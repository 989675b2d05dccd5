import json
from typing import get_args

from adumbra.cli.main import main
from adumbra.cli.options import PhantomPreset
from adumbra.phantom.presets import PRESETS


def simulate(capsys, out, *more):
    one = ["--cases", "1", "--seed", "3", "--preset", "diffusion"]
    code = main(["simulate", "--out", str(out), *one, "--json", "--no-progress", *more])
    return code, json.loads(capsys.readouterr().out)


def test_one_case_is_written_and_never_replaced_by_accident(tmp_path, capsys):
    code, result = simulate(capsys, tmp_path / "data", "--first", "5")
    assert code == 0
    (name,) = result["cases"]
    images = {path.name.removeprefix(f"{name}_") for path in (tmp_path / "data" / name).rglob("*.nii.gz")}
    assert {"ADC.nii.gz", "FLAIR.nii.gz"} < images
    assert list((tmp_path / "data" / "derivatives").rglob(f"{name}_label-lesion_mask.nii.gz"))

    code, result = simulate(capsys, tmp_path / "data", "--first", "5")
    assert (code, result["error"]["kind"]) == (1, "OutputRefused")


def test_a_folder_without_masks_is_rejected_before_anything_is_written(tmp_path, capsys):
    code, result = simulate(capsys, tmp_path / "data", "--lesion-masks", str(tmp_path / "absent"))
    assert (code, result["error"]["kind"]) == (4, "MissingInput")
    assert not (tmp_path / "data").exists()


def test_the_command_line_lists_every_preset():
    assert set(get_args(PhantomPreset)) == set(PRESETS)


def test_explain_writes_a_self_contained_page(tmp_path, capsys):
    code, result = simulate(capsys, tmp_path / "data", "--explain")
    assert code == 0
    page = (tmp_path / "data" / f"{result['cases'][0]}_growth.html").read_text("utf-8")
    assert page.count("<h2>") == 3
    assert page.count("data:image/jpeg") >= 12
    assert "not a patient" in page
    assert "http" not in page.replace("http-equiv", "")
