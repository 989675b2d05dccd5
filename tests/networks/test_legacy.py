"""Weights that the first version wrote are read, and give the same probabilities and draws."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from adumbra.core.errors import InputRejected
from adumbra.core.legacy import FILE_NAMES, TENSOR_PARTS, current_names, current_tensor_name, current_value
from adumbra.core.options import ComputeConfig
from adumbra.networks.registry import load
from adumbra.posterior.registry import default_posterior, posterior_of
from training.blobs import blob_case

FILES = Path(__file__).parents[1] / "core" / "legacy_files"
EXPECTED = json.loads((FILES / "expected.json").read_text("utf-8"))["weights"]
PLAIN = sorted(EXPECTED)
EXACT = ComputeConfig(precision="f32", threads=1)


@pytest.mark.parametrize("name", PLAIN)
def test_the_card_is_read_under_todays_names(name):
    expected, trained = EXPECTED[name], load(FILES / "weights" / name)
    card = trained.card
    old = expected["card"]
    assert (card.name, card.sha256, card.architecture) == (old["name"], old["sha256"], old["architecture"])
    assert (card.spacing_mm, card.patch, card.window) == (old["spacing_mm"], old["patch"], old["window"])
    assert (card.threshold, card.high_threshold) == (old["threshold"], old["peak_threshold"])
    assert default_posterior(trained) == current_value("posterior", expected["natural"])
    assert (trained.first_pass is not None) == expected["has_first"]
    assert (trained.calibration.name if trained.calibration else None) == expected["calibration_beside"]
    assert sorted(trained.fitted) == sorted(expected["fitted"])


@pytest.mark.parametrize("name", PLAIN)
def test_the_network_gives_the_same_probabilities(name):
    network = load(FILES / "weights" / name).network
    count, side = len(network.config.modalities), 16
    x = torch.linspace(-2, 2, count * side**3).reshape(1, count, side, side, side)
    if channels := network.config.guidance_channels:
        guidance = torch.linspace(0, 1, channels * side**3).reshape(1, channels, side, side, side)
        x = torch.cat([x, guidance], dim=1)
    with torch.inference_mode():
        probability = network(x, torch.ones(1, count)).sigmoid().numpy()
    assert probability.mean() == pytest.approx(EXPECTED[name]["probability"]["mean"], abs=2e-5)
    assert probability.std() == pytest.approx(EXPECTED[name]["probability"]["std"], abs=2e-5)


@pytest.mark.parametrize("name", [name for name in PLAIN if "draws" in EXPECTED[name]])
def test_the_posterior_gives_the_same_draws(name):
    trained = load(FILES / "weights" / name)
    case = blob_case(9, side=16)
    volumes = list(posterior_of([trained], compute=EXACT).draws(case, 2, np.random.default_rng(0)))
    for volume, expected in zip(volumes, EXPECTED[name]["draws"], strict=True):
        assert volume.mean() == pytest.approx(expected["mean"], abs=1e-4)
        assert volume.std() == pytest.approx(expected["std"], abs=1e-4)


def test_todays_names_are_left_alone():
    for kind, table in FILE_NAMES.items():
        today = dict.fromkeys(table.values(), 1)
        assert current_names(kind, today) == today
        nested = current_names(kind, {"inner": [dict.fromkeys(table, 2)]})
        assert nested == {"inner": [dict.fromkeys(table.values(), 2)]}
    for old, today in TENSOR_PARTS.items():
        assert current_tensor_name(f"weights/x{old}y") == f"weights/x{today}y"
        assert current_tensor_name(f"weights/x{today}y") == f"weights/x{today}y"


def test_an_old_name_of_a_posterior_is_refused_with_the_name_of_today():
    trained = load(FILES / "weights" / "unet.safetensors")
    with pytest.raises(InputRejected, match="use its name of today, tta"):
        posterior_of([trained], "augmented")
