"""The contract of a posterior, for every method of the registry."""

import gc
import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from adumbra.core.case import Case, Scan
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.options import SelectionConfig
from adumbra.fusion.refinement.posterior import RefinedPosterior
from adumbra.fusion.refinement.windows import WindowSize
from adumbra.fusion.two_pass import TwoPassPosterior
from adumbra.inference import windowed_inference
from adumbra.inference.model_input import model_input
from adumbra.inference.posteriors import Posterior, PreparedCase
from adumbra.networks.crossmodal import CrossModalConfig
from adumbra.networks.denoiser import MaskDenoiserConfig
from adumbra.networks.registry import LoadedNetwork, network_of
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import Card
from adumbra.posterior.registry import POSTERIORS, posterior_of
from adumbra.posterior.swag import SwagMoments

CONFIG = UNetConfig(modalities=("dwi", "adc"), widths=(8, 16), dropout=0.2)
SHAPE = (28, 24, 20)


def random_network(config=CONFIG, seed=0):
    torch.manual_seed(seed)
    network = network_of(config)
    for name, parameter in network.named_parameters():
        if parameter.ndim == 5 or name.endswith("output.weight"):
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval().requires_grad_(False)


def trained_network(network=None, *, name="", fitted=None, **settings):
    network = network or random_network()
    card = Card("random", "", "unet", network.config.as_json(), 2.0, 16, 0.5, posterior={"name": name, **settings})
    return LoadedNetwork(network, card, fitted or {})


def bottom_parameters(network):
    return {name: p for name, p in network.named_parameters() if name.startswith("decoder.bottom")}


def weights_for(name):
    """Random weights with what a posterior needs to have been fitted."""
    network = random_network(replace(CONFIG, noise_rank=2)) if name == "heteroscedastic" else random_network()
    if name == "heteroscedastic":
        torch.nn.init.normal_(network.noise.weight, std=0.1)
    if name == "mask-diffusion":
        windows = (None,) * len(CONFIG.widths)
        return trained_network(
            random_network(MaskDenoiserConfig(CONFIG.modalities, widths=CONFIG.widths, windows=windows))
        )
    if name == "variational":
        return trained_network(
            network, name=name, fitted={n: torch.full_like(p, -3.0) for n, p in bottom_parameters(network).items()}
        )
    if name == "swag":
        snapshots = SwagMoments(rank=3)
        for _ in range(5):
            snapshots.add({n: p + 0.05 * torch.randn_like(p) for n, p in bottom_parameters(network).items()})
        swag = snapshots.fit()
        parts = (("variance", swag.variance), ("deviations", swag.deviations))
        fitted = {f"{kind}/{n}": t for kind, tensors in parts for n, t in tensors.items()}
        return trained_network(network, name=name, fitted=fitted)
    if name == "laplace":
        settings = {"form": "full", "prior_precision": [1.0], "weight": 1.0}
        return trained_network(network, name=name, fitted={"root": 0.1 * torch.eye(9)[None]}, **settings)
    return trained_network(network)


def guided_posterior():
    config = CrossModalConfig(CONFIG.modalities, widths=CONFIG.widths, dropout=0.2, windows=(1, 2), guided=True)
    return posterior_of([replace(trained_network(random_network(config)), first_pass=trained_network())])


@pytest.fixture(
    params=[
        *(name for name in POSTERIORS if name != "deterministic"),
        "selective dropout",
        "guided",
        "ensemble",
        "ensemble of dropout",
        "refined",
    ]
)
def posterior(request):
    if request.param == "selective dropout":  # dropout of a network that has it at the deepest levels only
        return posterior_of([trained_network(random_network(replace(CONFIG, widths=(8, 8, 8, 8))))])
    if request.param == "guided":
        return guided_posterior()
    if request.param == "refined":
        members = [posterior_of([trained_network(random_network(seed=seed))], "dropout") for seed in (0, 1)]
        return RefinedPosterior(*members, WindowSize(2.0, 16), SelectionConfig(most=2, draws=2))
    if request.param.startswith("ensemble"):
        members = [trained_network(random_network(seed=seed)) for seed in range(3)]
        return posterior_of(members, "dropout" if "dropout" in request.param else "deterministic")
    return posterior_of([weights_for(request.param)], request.param)


def random_case(spacing_mm=2.0, *, brain=True, modalities=("dwi", "adc")):
    rng = np.random.default_rng(1)
    grid = Grid(SHAPE, np.diag([spacing_mm] * 3 + [1.0]))
    mask = np.zeros(SHAPE, dtype=bool)
    mask[8:20, 8:16, 7:13] = True
    scans = {m: Scan(rng.normal(0, 1, SHAPE).astype(np.float32), grid, grid) for m in modalities}
    return Case("random", scans, {"brain": Scan(mask, grid, grid)} if brain else {})


def draws(posterior, n, seed=0):
    return list(posterior.draws(random_case(), n, np.random.default_rng(seed)))


def test_it_is_a_posterior(posterior):
    assert isinstance(posterior, Posterior)


def test_draws_are_probability_volumes_on_the_cases_grid(posterior):
    volumes = draws(posterior, 3)
    assert len(volumes) == 3
    for volume in volumes:
        assert volume.shape == SHAPE
        assert volume.dtype == np.float32
        assert volume.min() >= 0.0
        assert 0.0 < volume.max() <= 1.0


def test_draws_differ(posterior):
    first, second = draws(posterior, 2)
    assert not np.array_equal(first, second)


def test_equal_generators_give_equal_bytes_and_others_do_not(posterior):
    one, same = (draws(posterior, 2, 3) for _ in range(2))
    assert [v.tobytes() for v in one] == [v.tobytes() for v in same]
    if (
        posterior.state.get("approximation") != "ensemble"
        or posterior.members[0].state["approximation"] != "deterministic"
    ):
        assert one[0].tobytes() != draws(posterior, 1, 4)[0].tobytes()


def test_further_draws_continue_those_of_the_same_generator(posterior):
    generator = np.random.default_rng(7)
    parts = [*posterior.draws(random_case(), 2, generator), *posterior.draws(random_case(), 3, generator)]
    assert [v.tobytes() for v in parts] == [v.tobytes() for v in draws(posterior, 5, 7)]


def test_its_state_is_plain_values(posterior):
    assert posterior.targets == ("lesion",)
    assert json.loads(json.dumps(posterior.state)) == dict(posterior.state)
    assert posterior.state["approximation"]


def test_a_draw_does_not_depend_on_the_number_of_draws(posterior):
    assert np.array_equal(draws(posterior, 4)[1], draws(posterior, 2)[1])


def test_the_mean_of_the_draws_is_close_to_the_deterministic_volume(posterior):
    mean, certain = np.mean(draws(posterior, 30), axis=0), posterior.deterministic(random_case())
    assert np.abs(mean - certain).mean() < 0.02
    assert np.corrcoef(mean.ravel(), certain.ravel())[0, 1] > 0.95


def test_far_from_the_brain_the_probability_is_zero(posterior):
    volume = draws(posterior, 1)[0]
    assert (volume[:3] == 0).all()
    assert volume[8:20, 8:16, 7:13].min() > 0


def test_a_missing_modality_is_accepted_but_a_case_without_any_is_refused(posterior):
    rng = np.random.default_rng(0)
    assert next(iter(posterior.draws(random_case(modalities=("dwi",)), 1, rng))).shape == SHAPE
    with pytest.raises(MissingInput):
        posterior.draws(random_case(modalities=("tof",)), 1, rng)


def test_errors_are_raised_before_the_first_draw(posterior):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="at least 1"):
        posterior.draws(random_case(), 0, rng)
    with pytest.raises(GridMismatch):
        posterior.draws(random_case(spacing_mm=3.0), 1, rng)
    with pytest.raises(MissingInput):
        posterior.draws(random_case(brain=False), 1, rng)


def peak_of(posterior, n):
    """Peak of the memory of Python objects while draws are consumed one by one, in volumes."""
    gc.collect()
    gc.freeze()  # so that the collections below scan only what the draws allocate
    tracemalloc.start()
    for volume in posterior.draws(random_case(), n, np.random.default_rng(0)):
        volume.sum()
        gc.collect()  # cycles that await collection are not leaked, and the time of a collection is random
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    gc.unfreeze()
    return peak / (4 * np.prod(SHAPE))


def counted_inputs(monkeypatch):
    """A list that gets an entry for every model input that is computed."""
    calls = []

    def counting(*arguments, **options):
        calls.append(arguments)
        return model_input(*arguments, **options)

    monkeypatch.setattr(windowed_inference, "model_input", counting)
    return calls


def test_a_prepared_case_gives_the_draws_of_the_posterior(posterior):
    prepared = posterior.prepare(random_case())
    assert isinstance(prepared, PreparedCase)
    volumes = list(prepared.draws(3, np.random.default_rng(5)))
    assert [v.tobytes() for v in volumes] == [v.tobytes() for v in draws(posterior, 3, 5)]
    assert prepared.deterministic().tobytes() == posterior.deterministic(random_case()).tobytes()
    with pytest.raises(ValueError, match="at least 1"):
        prepared.draws(0, np.random.default_rng(5))


def test_further_draws_of_a_prepared_case_continue_the_generator(posterior):
    prepared, generator = posterior.prepare(random_case()), np.random.default_rng(7)
    parts = [*prepared.draws(2, generator), *prepared.draws(3, generator)]
    assert [v.tobytes() for v in parts] == [v.tobytes() for v in draws(posterior, 5, 7)]


def test_one_draw_has_the_given_generator_as_its_only_randomness(posterior):
    prepared = posterior.prepare(random_case())
    one, same = (prepared.draw(np.random.default_rng(8)) for _ in range(2))
    assert one.shape == SHAPE
    assert one.dtype == np.float32
    assert one.tobytes() == same.tobytes()


def test_a_prepared_case_needs_no_further_model_input(posterior, monkeypatch):
    """Draws, the deterministic volume and the attention maps share what was prepared."""
    calls = counted_inputs(monkeypatch)
    prepared = posterior.prepare(random_case())
    count = len(calls)
    assert count >= 1
    list(prepared.draws(2, np.random.default_rng(0)))
    prepared.deterministic()
    prepared.attention_maps()
    assert prepared.structure_maps() == {}, "the networks learn none"
    assert len(calls) == count


def test_attention_maps_of_a_prepared_case(posterior):
    maps = posterior.prepare(random_case()).attention_maps()
    if not isinstance(posterior, TwoPassPosterior):
        assert maps is None
        return
    assert maps.primary == "dwi"
    assert set(maps.weights) == {"adc"}
    inside = np.s_[8:20, 8:16, 7:13]
    for volume in (maps.gate, *maps.weights.values()):
        assert volume.shape == SHAPE
        assert (volume[:3] == 0).all()
        assert 0.0 < volume[inside].min() <= volume[inside].max() <= 1.0 + 1e-6
    assert posterior.prepare(random_case(modalities=("dwi",))).attention_maps() is None


def test_given_guidance_replaces_the_first_pass(monkeypatch):
    posterior = guided_posterior()
    guidance = posterior.guidance_maps(random_case())
    calls = counted_inputs(monkeypatch)
    prepared = posterior.prepare(random_case(), guidance=guidance)
    assert len(calls) == 1, "the second pass alone"
    volumes = list(prepared.draws(2, np.random.default_rng(0)))
    assert [v.tobytes() for v in volumes] == [v.tobytes() for v in draws(posterior, 2)]


def test_memory_does_not_grow_with_the_number_of_draws(posterior):
    peak_of(posterior, 1)
    assert peak_of(posterior, 20) < peak_of(posterior, 5) + 2
