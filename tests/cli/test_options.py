import json
from pathlib import Path

from adumbra.cli.options import OutputOptions, command_line, json_value, unwrap_docstring
from adumbra.core.progress import quiet


def test_values_that_json_cannot_hold():
    value = {
        "nan": float("nan"),
        "inf": [float("inf")],
        "path": Path("a") / "b",
        "yes": True,
        "none": None,
        "pair": (1, 2.5),
    }
    expected = {"nan": None, "inf": [None], "path": str(Path("a") / "b"), "yes": True, "none": None, "pair": [1, 2.5]}
    assert json_value(value) == expected


def test_a_recorded_command_contains_no_folder_names():
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
    output = OutputOptions(json=True)
    output.print_result({"volume_ml": float("nan")}, "text")
    output.print_note("a note")
    streams = capsys.readouterr()
    assert json.loads(streams.out) == {"volume_ml": None}
    assert streams.err == "a note\n"


def test_without_json_the_texts_are_printed(capsys):
    OutputOptions().print_result({"a": 1}, "first [not markup]", "second")
    assert capsys.readouterr().out == "first [not markup]\nsecond\n"


def test_quiet_prints_nothing(capsys):
    output = OutputOptions(quiet=True)
    output.print_result({}, "text")
    output.print_note("a note")
    assert list(output.progress_display().track([1, 2], what="Counting")) == [1, 2]
    streams = capsys.readouterr()
    assert (streams.out, streams.err) == ("", "")


def test_quiet_with_json_prints_json(capsys):
    OutputOptions(quiet=True, json=True).print_result({"a": 1}, "text")
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_without_progress_there_is_no_display():
    assert OutputOptions(progress=False).progress_display() is quiet
    assert OutputOptions().progress_display() is not quiet


def test_a_wrapped_docstring_becomes_one_line_a_paragraph():
    def command():
        """First line.

        A sentence that is
        wrapped.

        Args:
            option: A text that is
                wrapped too.
            other: Another.
        """

    command.__doc__ = command.__doc__.replace("\n    ", "\n")  # as deep as in a module
    text = unwrap_docstring(command).__doc__
    assert "\n    A sentence that is wrapped.\n" in text
    assert "\n        option: A text that is wrapped too.\n        other: Another.\n" in text
