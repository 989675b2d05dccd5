"""Training for each posterior, and the posterior that the weights file of such a training gives."""

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
from adumbra.networks.unet_config import UNetConfig
from adumbra.posterior.registry import posterior_of
from adumbra.training.cache import cache_cases
from adumbra.training.config import LossConfig, network_for
from adumbra.training.fitting import add_curvature, independent_voxels
from adumbra.training.loop import sample_batch, train
from adumbra.training.losses import region_balanced
from adumbra.training.objective import divergence, loss_under_noise, sample_logits
from adumbra.training.options import TrainedPosterior
from adumbra.training.patches import open_cached_case
from adumbra.training.state import State

SAMPLED_AS = {
    "dropout-everywhere": "dropout",
    "heteroscedastic": "heteroscedastic",
    "stochastic-segmentation": "heteroscedastic",
}
NAMES = get_args(TrainedPosterior)


def config_with(tiny_config, name, **changes):
    config = tiny_config(posterior=name, **changes)
    return replace(config, network=network_for(name, config.network))


@pytest.mark.parametrize("name", NAMES)
def test_a_training_prepares_its_posterior(name, tmp_path, blob_refs, tiny_config, synthetic_case):
    config = config_with(tiny_config, name, steps=48 if name == "swag" else 6)
    loaded = load(train(blob_refs(3), tmp_path, config).weights)
    posterior = posterior_of([loaded], SAMPLED_AS.get(name, name))
    first, second = posterior.draws(synthetic_case(9), 2, np.random.default_rng(0))
    assert np.array_equal(first, second) == (name == "deterministic"), (
        "draws differ, except those of a deterministic network"
    )


@pytest.mark.parametrize("name", ["swag", "variational"])
def test_steps_after_a_checkpoint_are_those_of_an_uninterrupted_training(name, tmp_path, blob_refs, tiny_config):
    config = config_with(tiny_config, name, steps=30)
    (path,) = cache_cases(blob_refs(1), tmp_path, config.cache)
    cases = (open_cached_case(path),)
    whole, resumed = (State(config, torch.device("cpu")) for _ in range(2))
    for number in range(24):  # SWAG has taken one snapshot by then
        whole.step(number, sample_batch(cases, config, number))
    resumed.restore({key: t.clone() for key, t in whole.tensors().items()})
    for number in range(24, 30):
        for state in (whole, resumed):
            state.step(number, sample_batch(cases, config, number))
    ends = [state.tensors() for state in (whole, resumed)]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    kinds = {"swag": "snapshots/squares/", "variational": "weights/decoder.bottom.conv1.log_sigma"}
    assert any(key.startswith(kinds[name]) for key in ends[0])


def test_laplace_can_be_fitted_without_a_step(tmp_path, blob_refs, tiny_config):
    """The curvature is fitted to given weights, which do not change."""
    trained = load(train(blob_refs(3), tmp_path / "a", tiny_config()).weights)
    config = config_with(tiny_config, "laplace", steps=0, initial=str(tmp_path / "a" / "weights.safetensors"))
    fitted = load(train(blob_refs(3), tmp_path / "b", config).weights)
    own = trained.network.state_dict()
    assert all(torch.equal(own[name], t) for name, t in fitted.network.state_dict().items())
    assert fitted.fitted["root"].shape == (1, 9, 9)
    assert fitted.card.posterior["cases"] == 2


def test_curvature_counts_every_brain_voxel_once(tmp_path, blob_refs, tiny_config):
    config = config_with(tiny_config, "laplace", patch=16)
    (path,) = cache_cases(blob_refs(1), tmp_path, config.cache)
    from adumbra.posterior.laplace import Curvature

    state = State(config, torch.device("cpu"))
    curvature = Curvature.empty(1, 9)
    add_curvature(curvature, state.averaged_network(), open_cached_case(path), side=16, precision="f32")
    assert curvature.voxels == pytest.approx(27 * independent_voxels([open_cached_case(path)]))
    assert curvature.features[8, 8] == curvature.voxels, "the feature of the bias is 1 everywhere"


def test_without_noise_the_loss_is_that_of_the_logits():
    torch.manual_seed(0)
    logits, truth = torch.randn(2, 1, 4, 4, 4), (torch.rand(2, 1, 4, 4, 4) > 0.5).float()
    samples = sample_logits(logits, torch.zeros_like(logits), ())
    plain = region_balanced(logits, truth, torch.ones_like(truth), hard_voxel_fraction=0.1)
    for shared in (False, True):
        loss = loss_under_noise(samples, truth, torch.ones_like(truth), LossConfig(0.1), shared_noise=shared)
        assert float(loss) == pytest.approx(float(plain))


def test_the_likelihood_under_shared_noise_is_that_of_whole_patches():
    """By hand: two voxels, one of each class, and two samples, each with one voxel right and one wrong by logit a.

    Voxel by voxel the mean probability is 1/2, so the loss is ln 2. The loss of a whole sample is s(a) + s(-a).
    """
    a = 3.0
    truth, ones = torch.tensor([1.0, 0.0]).view(1, 1, 2, 1, 1), torch.ones(1, 1, 2, 1, 1)
    samples = torch.tensor([[a, a], [-a, -a]]).view(2, 1, 1, 2, 1, 1)
    own, shared = (
        float(loss_under_noise(samples, truth, ones, LossConfig(1.0), shared_noise=shared)) for shared in (False, True)
    )
    joint = (math.log1p(math.exp(-a)) + math.log1p(math.exp(a))) / 2
    assert shared - own == pytest.approx(joint - math.log(2.0), rel=1e-5)


def test_the_divergence_is_divided_by_the_observations_and_warmed_up():
    layer = FlipoutConv3d.of(nn.Conv3d(1, 1, 1, bias=False))
    whole = float(layer.divergence().detach())
    assert float(divergence(layer, step=9, steps=10, observations=4.0).detach()) == pytest.approx(whole / 4.0)
    assert float(divergence(layer, step=0, steps=10, observations=4.0).detach()) == pytest.approx(whole / 20.0)
    assert float(divergence(nn.Conv3d(1, 1, 1), step=9, steps=10, observations=4.0)) == 0.0


def test_initial_weights_gain_a_head_for_noise(tmp_path, blob_refs, tiny_config):
    trained = train(blob_refs(3), tmp_path / "a", tiny_config()).weights
    config = config_with(tiny_config, "heteroscedastic", initial=str(trained))
    state = State(config, torch.device("cpu"))
    own = load(trained).network.state_dict()
    initial = dict(state.network.named_parameters())
    assert all(torch.equal(initial[name], t) for name, t in own.items())
    assert "noise.weight" in initial


def test_a_fold_holds_out_another_block(tmp_path, blob_refs, tiny_config):
    held_out = [set(train(blob_refs(4), tmp_path / str(f), tiny_config(fold=f)).scores.cases) for f in (0, 2)]
    assert held_out == [{"sub-003"}, {"sub-001"}]
    with pytest.raises(InputRejected, match="more than 4"):
        train(blob_refs(4), tmp_path / "all", tiny_config(fold=3))


def test_a_network_without_the_posterior_is_refused(tmp_path, blob_refs, tiny_config):
    with pytest.raises(InputRejected, match="noise_rank=0"):
        train(blob_refs(2), tmp_path, tiny_config(posterior="heteroscedastic"))


def test_dropout_everywhere_is_weaker_at_the_finer_levels():
    config = network_for("dropout-everywhere", UNetConfig())
    assert config.dropout == (0.1, 0.1, 0.1, 0.2, 0.2)
    assert network_for("dropout-everywhere", config) == config


@pytest.mark.parametrize(("name", "steps"), [("swag", 43), ("dropout", 0), ("laplace", 0)])
def test_too_few_steps_for_the_posterior_are_refused(name, steps, tmp_path, blob_refs, tiny_config):
    with pytest.raises(InputRejected, match=f"for {name}"):
        train(blob_refs(2), tmp_path, config_with(tiny_config, name, steps=steps))
    assert not list(tmp_path.iterdir())
