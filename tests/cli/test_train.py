import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from adumbra.cases import registry
from adumbra.cli.main import main
from adumbra.cli.train import DEFAULT_METHOD
from adumbra.training import config, loop, plan, presets


@pytest.fixture
def training_call(monkeypatch):
    """The arguments of the training, which is not run."""
    arguments = {}

    def train(cases, out, config, *, progress):
        arguments.update(cases=cases, out=out, config=config)
        return loop.Trained(out / "weights.safetensors", "ab12", None)

    monkeypatch.setattr(registry, "find_cases", lambda data: (f"a case of {Path(data).name}",))
    monkeypatch.setattr(loop, "train", train)
    return arguments


def test_options_reach_the_training(training_call, tmp_path, capsys):
    options = ["--steps", "12", "--seed", "5", "--threads", "2", "--no-registration", "--held-out", "0", "--batch", "1"]
    options += ["--learning-rate", "2e-4"]
    assert main(["train", "--data", "cohort", "--out", str(tmp_path), "--json", *options]) == 0
    config = training_call["config"]
    assert config.optimiser.learning_rate == 2e-4
    assert (config.optimiser.steps, config.seed, config.runtime.threads) == (12, 5, 2)
    assert (config.data.held_out, config.data.batch, config.data.registration) == (0, 1, "never")
    assert training_call["cases"] == ("a case of cohort",)
    result = json.loads(capsys.readouterr().out)
    assert result == {"weights": str(tmp_path / "weights.safetensors"), "sha256": "ab12", "held_out": None}


def test_the_defaults_are_those_of_the_training(training_call, tmp_path):
    """The command line repeats the defaults for --help, so they are compared here."""
    assert main(["train", "--data", "cohort", "--out", str(tmp_path), "--quiet"]) == 0
    assert replace(training_call["config"], guidance=config.GuidanceConfig()) == config.TrainConfig()


def test_the_options_of_the_method_are_those_of_a_preset():
    preset = presets.TrainingPreset()
    assert {f.name: getattr(DEFAULT_METHOD, f.name) for f in fields(preset)} == asdict(preset)


def test_a_learning_rate_of_0_is_rejected(training_call, tmp_path, capsys):
    assert main(["train", "--data", "cohort", "--out", str(tmp_path), "--learning-rate", "0"]) == 2
    assert "0" in capsys.readouterr().err


def test_missing_data_is_rejected(tmp_path, capsys):
    assert main(["train", "--data", str(tmp_path / "absent"), "--out", str(tmp_path / "out"), "--quiet"]) == 4
    assert "absent" in capsys.readouterr().err


def test_phantoms_are_simulated_when_they_are_needed(training_call, tmp_path):
    command = ["train", "--n-phantoms", "3", "--phantom-seed", "4", "--out", str(tmp_path), "--quiet"]
    assert main(command) == 0
    assert [ref.name for ref in training_call["cases"]] == [
        "sub-phantom04n00000",
        "sub-phantom04n00001",
        "sub-phantom04n00002",
    ]


@pytest.mark.parametrize("options", [[], ["--data", "cohort", "--n-phantoms", "3"]])
def test_either_data_or_phantoms(options, tmp_path):
    assert main(["train", *options, "--out", str(tmp_path), "--quiet"]) == 2


def test_a_preset_reaches_the_training(training_call, tmp_path):
    options = ["--backbone", "crossmodal", "--fusion", "uncertainty", "--regulariser", "both", "--blur", "focused"]
    options += ["--blur-mm", "6", "--diffusion-target", "velocity", "--regulariser-weight", "0.3"]
    options += ["--first-pass-dir", str(tmp_path / "first"), "--first-pass-steps", "7"]
    options += ["--uncertainty-loss", "weighted", "--loss", "component-tversky"]
    assert main(["train", "--data", "cohort", "--out", str(tmp_path), "--quiet", *options]) == 0
    trained = training_call["config"]
    expected = presets.TrainingPreset("crossmodal", "uncertainty", "both", "focused", 6.0, "velocity", 0.3, "weighted")
    assert trained.network == presets.network_of_preset(expected, config.default_network("lesion"))
    assert (trained.guidance.guide, trained.guidance.steps) == ("uncertainty", 7)
    assert (trained.loss.uncertainty_loss, trained.loss.regulariser.weight) == ("weighted", 0.3)
    assert trained.loss.kind == "component-tversky"
    assert trained.loss.regulariser.blur.max_mm == 6.0
    assert trained.loss.regulariser.diffusion_target == "velocity"
    assert trained.runtime.first_pass_dir == str(tmp_path / "first")


def test_an_impossible_preset_is_rejected(training_call, tmp_path, capsys):
    options = ["--backbone", "crossmodal", "--fusion", "early"]
    assert main(["train", "--data", "cohort", "--out", str(tmp_path), "--quiet", *options]) == 4
    assert "fusion" in capsys.readouterr().err
    assert not training_call


def test_a_dry_run_prints_the_cost_and_writes_nothing(training_call, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plan, "planned", lambda _, *, cases: plan.Plan("unet", 1234567, 0, 1.25, 0.5, 3 * cases))
    out = tmp_path / "out"
    assert main(["train", "--n-phantoms", "20", "--out", str(out), "--dry-run", "--patch", "96"]) == 0
    text = capsys.readouterr().out
    assert "1,234,567 parameters" in text
    assert "1.2 GB for a batch of 4 patches of 96 × 96 × 96" in text
    assert "0.5 min an epoch of 60 steps" in text
    assert not out.exists()
    assert not training_call


def test_a_posterior_and_a_fold_reach_the_training(training_call, tmp_path):
    options = ["--posterior", "heteroscedastic", "--fold", "2"]
    assert main(["train", "--data", "cohort", "--out", str(tmp_path), "--quiet", *options]) == 0
    config = training_call["config"]
    assert (config.posterior, config.data.fold, config.network.noise_rank) == ("heteroscedastic", 2, 0)
