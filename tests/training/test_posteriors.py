"""What each posterior asks of a training, and what it finds in the file that the training leaves."""

import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from adumbra.core.errors import InputRejected
from adumbra.networks.flipout import FlipoutConv3d
from adumbra.networks.registry import load
from adumbra.networks.unet import UNetConfig
from adumbra.posterior.registry import posterior_of
from adumbra.training.cache import cached
from adumbra.training.config import TrainedPosterior, network_for
from adumbra.training.fitting import independent_voxels
from adumbra.training.loop import batch_of, train
from adumbra.training.losses import region_balanced
from adumbra.training.objective import divergence, loss_under_noise, noisy_logits
from adumbra.training.patches import open_cached_case
from adumbra.training.state import State

DRAWN_AS = {
    "dropout-everywhere": "dropout",
    "heteroscedastic": "heteroscedastic",
    "stochastic-segmentation": "heteroscedastic",
}
NAMES = get_args(TrainedPosterior)


def asked(tiny_config, name, **changes):
    config = tiny_config(posterior=name, **changes)
    return replace(config, network=network_for(name, config.network))


@pytest.mark.parametrize("name", NAMES)
def test_a_training_leaves_what_its_posterior_draws_from(name, tmp_path, blob_refs, tiny_config, made_case):
    config = asked(tiny_config, name, steps=48 if name == "swag" else 6)
    loaded = load(train(blob_refs(3), tmp_path, config).weights)
    posterior = posterior_of([loaded], DRAWN_AS.get(name, name))
    first, second = posterior.draws(made_case(9), 2, np.random.default_rng(0))
    assert np.array_equal(first, second) == (name == "deterministic"), "what is drawn must differ, but of a point"


@pytest.mark.parametrize("name", ["swag", "variational"])
def test_a_step_after_a_checkpoint_is_the_step_that_would_have_been(name, tmp_path, blob_refs, tiny_config):
    config = asked(tiny_config, name, steps=30)
    (path,) = cached(blob_refs(1), tmp_path, config.cache)
    cases = (open_cached_case(path),)
    whole, resumed = (State(config, torch.device("cpu")) for _ in range(2))
    for number in range(24):  # SWAG has taken one snapshot by then
        whole.step(number, batch_of(cases, config, number))
    resumed.restore({key: t.clone() for key, t in whole.tensors().items()})
    for number in range(24, 30):
        for state in (whole, resumed):
            state.step(number, batch_of(cases, config, number))
    ends = [state.tensors() for state in (whole, resumed)]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    kinds = {"swag": "snapshots/squares/", "variational": "weights/decoder.bottom.conv1.log_sigma"}
    assert any(key.startswith(kinds[name]) for key in ends[0])


def test_one_step_of_laplace_needs_no_step(tmp_path, blob_refs, tiny_config):
    """Weights that are there already get their curvature, and stay as they are."""
    trained = load(train(blob_refs(3), tmp_path / "a", tiny_config()).weights)
    config = asked(tiny_config, "laplace", steps=0, initial=str(tmp_path / "a" / "weights.safetensors"))
    found = load(train(blob_refs(3), tmp_path / "b", config).weights)
    own = trained.network.state_dict()
    assert all(torch.equal(own[name], t) for name, t in found.network.state_dict().items())
    assert found.fitted["root"].shape == (1, 9, 9)
    assert found.card.posterior["cases"] == 2


def test_curvature_takes_every_voxel_of_the_brain_once(tmp_path, blob_refs, tiny_config):
    config = asked(tiny_config, "laplace", patch=16)
    (path,) = cached(blob_refs(1), tmp_path, config.cache)
    from adumbra.posterior.laplace import Curvature
    from adumbra.training.fitting import add_case

    state = State(config, torch.device("cpu"))
    curvature = Curvature.empty(1, 9)
    add_case(curvature, state.averaged(), open_cached_case(path), config)
    assert curvature.voxels == pytest.approx(27 * independent_voxels([open_cached_case(path)]))
    assert curvature.features[8, 8] == curvature.voxels, "the bias's feature is 1 everywhere"


def test_without_noise_the_loss_is_that_of_the_logits(tiny_config):
    torch.manual_seed(0)
    logits, truth = torch.randn(2, 1, 4, 4, 4), (torch.rand(2, 1, 4, 4, 4) > 0.5).float()
    draws = noisy_logits(logits, torch.zeros_like(logits), ())
    plain = region_balanced(logits, truth, torch.ones_like(truth), hard_voxel_fraction=0.1)
    for name in ("heteroscedastic", "stochastic-segmentation"):
        config = asked(tiny_config, name, hard_voxel_fraction=0.1)
        assert float(loss_under_noise(draws, truth, torch.ones_like(truth), config)) == pytest.approx(float(plain))


def test_shared_noise_is_judged_by_the_patch_as_a_whole(tiny_config):
    """By hand: two voxels, one of each kind, and two draws; each has one voxel right by logit a, the other wrong.

    Voxel by voxel the mean probability is 1/2 each: ln 2. As a whole each draw's loss is s(a) + s(-a).
    """
    a = 3.0
    truth, ones = torch.tensor([1.0, 0.0]).view(1, 1, 2, 1, 1), torch.ones(1, 1, 2, 1, 1)
    draws = torch.tensor([[a, a], [-a, -a]]).view(2, 1, 1, 2, 1, 1)
    own, shared = (
        asked(tiny_config, n, hard_voxel_fraction=1.0) for n in ("heteroscedastic", "stochastic-segmentation")
    )
    difference = float(loss_under_noise(draws, truth, ones, shared) - loss_under_noise(draws, truth, ones, own))
    joint = (math.log1p(math.exp(-a)) + math.log1p(math.exp(a))) / 2
    assert difference == pytest.approx(joint - math.log(2.0), rel=1e-5)


def test_the_divergence_is_shared_among_observations_and_warmed_up(tiny_config):
    layer = FlipoutConv3d.of(nn.Conv3d(1, 1, 1, bias=False))
    config = tiny_config(steps=10)
    whole = float(layer.divergence().detach())
    assert float(divergence(layer, 9, config, 4.0).detach()) == pytest.approx(whole / 4.0)
    assert float(divergence(layer, 0, config, 4.0).detach()) == pytest.approx(whole / 20.0)
    assert float(divergence(nn.Conv3d(1, 1, 1), 9, config, 4.0)) == 0.0


def test_weights_can_get_a_head_for_noise_that_they_had_not(tmp_path, blob_refs, tiny_config):
    trained = train(blob_refs(3), tmp_path / "a", tiny_config()).weights
    config = asked(tiny_config, "heteroscedastic", initial=str(trained))
    state = State(config, torch.device("cpu"))
    own = load(trained).network.state_dict()
    begun = dict(state.network.named_parameters())
    assert all(torch.equal(begun[name], t) for name, t in own.items())
    assert "noise.weight" in begun


def test_a_fold_holds_out_another_block(tmp_path, blob_refs, tiny_config):
    held = [set(train(blob_refs(4), tmp_path / str(f), tiny_config(fold=f)).scores.cases) for f in (0, 2)]
    assert held == [{"sub-003"}, {"sub-001"}]
    with pytest.raises(InputRejected, match="more than 4"):
        train(blob_refs(4), tmp_path / "all", tiny_config(fold=3))


def test_a_network_that_cannot_bear_the_posterior_is_refused(tmp_path, blob_refs, tiny_config):
    with pytest.raises(InputRejected, match="noise_rank=0"):
        train(blob_refs(2), tmp_path, tiny_config(posterior="heteroscedastic"))


def test_dropout_everywhere_is_weaker_where_details_are():
    config = network_for("dropout-everywhere", UNetConfig())
    assert config.dropout == (0.1, 0.1, 0.1, 0.2, 0.2)
    assert network_for("dropout-everywhere", config) == config


@pytest.mark.parametrize(("name", "steps"), [("swag", 43), ("dropout", 0), ("laplace", 0)])
def test_too_few_steps_to_leave_anything_are_refused(name, steps, tmp_path, blob_refs, tiny_config):
    with pytest.raises(InputRejected, match=f"for {name}"):
        train(blob_refs(2), tmp_path, asked(tiny_config, name, steps=steps))
    assert not list(tmp_path.iterdir())
