"""Command lines of earlier versions exit with 2 and a hint."""

from typing import get_args

import pytest

from adumbra.cli.main import app, main
from adumbra.core.legacy import COMMANDS, OPTIONS
from adumbra.core.options import TrainedTarget
from adumbra.core.targets import TARGET_SPECS


@pytest.mark.parametrize(
    ("tokens", "hint"),
    [
        (["train", "--out", "o", "--phantom", "3"], "--phantom is now called --n-phantoms."),
        (["train", "--out", "o", "--phantom=3"], "--phantom is now called --n-phantoms."),
        (["calibrate", "--out", "o.json", "--phantom", "3"], "--phantom is now called --n-phantoms."),
        (["train", "--out", "o", "--weight", "0.3"], "--weight is now called --regulariser-weight."),
        (["train", "--out", "o", "--first", "f"], "--first is now called --first-pass-dir."),
        (["predict", "c", "--out", "o", "--peak-threshold", "0.3"], "--peak-threshold is now called --high-threshold."),
        (["quality", "--pred", "p"], "The command quality is now called evaluate-uncertainty."),
        (
            ["train", "--out", "o", "--regulariser", "before"],
            "--regulariser before is now called --regulariser pretrain.",
        ),
        (["train", "--out", "o", "--posterior", "point"], "--posterior point is now called --posterior deterministic."),
    ],
)
def test_an_old_name_exits_with_2_and_names_the_new_one(tokens, hint, capsys):
    assert main(tokens) == 2
    assert capsys.readouterr().err.splitlines()[0] == hint


@pytest.mark.parametrize("old", OPTIONS)
def test_every_renamed_option_has_a_hint_in_train_or_predict(old, capsys):
    command = "predict" if old == "--peak-threshold" else "train"
    assert main([command, "--out", "o", old, "1"]) == 2
    assert f"{old} is now called {OPTIONS[old]}." in capsys.readouterr().err


def test_hints_name_commands_that_exist():
    assert set(COMMANDS.values()) <= set(app)


def test_an_old_name_that_a_command_uses_today_has_no_hint(capsys):
    """``--first`` is an option of ``simulate``: another mistake on that line must not be explained by it."""
    assert main(["simulate", "--out", "o", "--first", "3", "--cases", "0"]) == 2
    assert "is now called" not in capsys.readouterr().err


def test_two_old_names_have_two_hints(capsys):
    assert main(["train", "--out", "o", "--phantom", "3", "--first-steps", "7"]) == 2
    assert capsys.readouterr().err.count("is now called") == 2


def test_trained_targets_are_the_targets_with_a_network():
    assert set(get_args(TrainedTarget)) == {name for name, spec in TARGET_SPECS.items() if spec.network is not None}
