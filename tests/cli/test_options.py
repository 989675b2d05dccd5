import json
from pathlib import Path

from adumbra.cli.options import OutputOptions, command_line, plain
from adumbra.core.progress import quiet


def test_what_json_does_not_know():
    given = {
        "nan": float("nan"),
        "inf": [float("inf")],
        "path": Path("a") / "b",
        "yes": True,
        "none": None,
        "pair": (1, 2.5),
    }
    kept = {"nan": None, "inf": [None], "path": str(Path("a") / "b"), "yes": True, "none": None, "pair": [1, 2.5]}
    assert plain(given) == kept


def test_a_manifest_keeps_no_folder_names():
    tokens = [
        "predict",
        "/data/SMITH_John/case7",
        "--dwi=/data/SMITH_John/dwi.nii.gz",
        "--adc",
        "../adc.nii",
        "--seed",
        "3",
    ]
    assert command_line(tokens) == "adumbra predict case7 --dwi=dwi.nii.gz --adc adc.nii --seed 3"


def test_with_json_stdout_is_one_object_and_nothing_else(capsys):
    manner = OutputOptions(json=True)
    manner.answer({"volume_ml": float("nan")}, "for people")
    manner.tell("a word about the work")
    said = capsys.readouterr()
    assert json.loads(said.out) == {"volume_ml": None}
    assert said.err == "a word about the work\n"


def test_without_json_people_are_answered(capsys):
    OutputOptions().answer({"a": 1}, "first [not markup]", "second")
    assert capsys.readouterr().out == "first [not markup]\nsecond\n"


def test_quiet_says_nothing(capsys):
    manner = OutputOptions(quiet=True)
    manner.answer({}, "for people")
    manner.tell("a word")
    assert list(manner.watch().track([1, 2], what="Counting")) == [1, 2]
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_quiet_and_json_is_json(capsys):
    OutputOptions(quiet=True, json=True).answer({"a": 1}, "for people")
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_no_progress_watches_nothing():
    assert OutputOptions(progress=False).watch() is quiet
    assert OutputOptions().watch() is not quiet
