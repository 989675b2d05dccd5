import json
from dataclasses import replace
from pathlib import Path

import pytest

from adumbra.cases import registry
from adumbra.cli.main import main
from adumbra.training import config, loop, plan, presets


@pytest.fixture
def asked(monkeypatch):
    """What the training was asked for; nothing is trained."""
    seen = {}

    def train(cases, out, config, *, progress):
        seen.update(cases=cases, out=out, config=config)
        return loop.Trained(out / "weights.safetensors", "ab12", None)

    monkeypatch.setattr(registry, "find_cases", lambda data: (f"a case of {Path(data).name}",))
    monkeypatch.setattr(loop, "train", train)
    return seen


def test_options_reach_the_training(asked, tmp_path, capsys):
    given = ["--steps", "12", "--seed", "5", "--threads", "2", "--no-registration", "--held-out", "0", "--batch", "1"]
    given += ["--learning-rate", "2e-4"]
    assert main(["train", "--data", "cohort", "--out", str(tmp_path), "--json", *given]) == 0
    config = asked["config"]
    assert config.learning_rate == 2e-4
    assert (config.steps, config.seed, config.threads, config.held_out, config.batch) == (12, 5, 2, 0, 1)
    assert config.registration == "never"
    assert asked["cases"] == ("a case of cohort",)
    result = json.loads(capsys.readouterr().out)
    assert result == {"weights": str(tmp_path / "weights.safetensors"), "sha256": "ab12", "held_out": None}


def test_without_options_the_trainings_own_defaults_hold(asked, tmp_path):
    """The command line repeats them for --help; they must not drift apart."""
    assert main(["train", "--data", "cohort", "--out", str(tmp_path), "--quiet"]) == 0
    assert replace(asked["config"], cross=config.CrossFit()) == loop.TrainConfig()


def test_a_learning_rate_is_above_0(asked, tmp_path, capsys):
    assert main(["train", "--data", "cohort", "--out", str(tmp_path), "--learning-rate", "0"]) == 2
    assert "0" in capsys.readouterr().err


def test_data_that_is_not_there_is_rejected(tmp_path, capsys):
    assert main(["train", "--data", str(tmp_path / "absent"), "--out", str(tmp_path / "out"), "--quiet"]) == 4
    assert "absent" in capsys.readouterr().err


def test_phantoms_are_drawn_as_they_are_needed(asked, tmp_path):
    command = ["train", "--n-phantoms", "3", "--phantom-seed", "4", "--out", str(tmp_path), "--quiet"]
    assert main(command) == 0
    assert [ref.name for ref in asked["cases"]] == ["sub-phantom04n00000", "sub-phantom04n00001", "sub-phantom04n00002"]


@pytest.mark.parametrize("given", [[], ["--data", "cohort", "--n-phantoms", "3"]])
def test_either_data_or_phantoms(given, tmp_path):
    assert main(["train", *given, "--out", str(tmp_path), "--quiet"]) == 2


def test_a_preset_reaches_the_training(asked, tmp_path):
    given = ["--backbone", "crossmodal", "--fusion", "uncertainty", "--regulariser", "both", "--blur", "focused"]
    given += ["--blur-mm", "6", "--diffusion-target", "velocity"]
    given += [
        "--regulariser-weight",
        "0.3",
        "--first-pass-dir",
        str(tmp_path / "first"),
        "--first-pass-steps",
        "7",
        "--uncertainty-loss",
        "weighted",
    ]
    assert main(["train", "--data", "cohort", "--out", str(tmp_path), "--quiet", *given]) == 0
    found = asked["config"]
    expected = presets.TrainingPreset("crossmodal", "uncertainty", "both", "focused", 6.0, "velocity", 0.3, "weighted")
    assert found.network == presets.network_of_preset(expected, config.DEFAULT_TRAINING["lesion"].network)
    assert (found.guide, found.uncertainty_loss, found.regulariser.weight) == ("uncertainty", "weighted", 0.3)
    assert (found.first_pass_dir, found.cross.steps) == (str(tmp_path / "first"), 7)


def test_a_preset_that_does_not_exist_is_rejected(asked, tmp_path, capsys):
    given = ["--backbone", "crossmodal", "--fusion", "early"]
    assert main(["train", "--data", "cohort", "--out", str(tmp_path), "--quiet", *given]) == 4
    assert "fusion" in capsys.readouterr().err
    assert not asked


def test_a_dry_run_says_what_it_would_ask_for_and_writes_nothing(asked, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plan, "planned", lambda _, *, cases: plan.Plan("unet", 1234567, 0, 1.25, 0.5, 3 * cases))
    out = tmp_path / "out"
    assert main(["train", "--n-phantoms", "20", "--out", str(out), "--dry-run", "--patch", "96"]) == 0
    said = capsys.readouterr().out
    assert "1,234,567 parameters" in said
    assert "1.2 GB for a batch of 4 patches of 96 × 96 × 96" in said
    assert "0.5 min an epoch of 60 steps" in said
    assert not out.exists()
    assert not asked


def test_a_posterior_and_a_fold_reach_the_training(asked, tmp_path):
    given = ["--posterior", "heteroscedastic", "--fold", "2"]
    assert main(["train", "--data", "cohort", "--out", str(tmp_path), "--quiet", *given]) == 0
    assert (asked["config"].posterior, asked["config"].fold) == ("heteroscedastic", 2)
    assert asked["config"].network.noise_rank == 0
