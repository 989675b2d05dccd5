"""What every posterior in the catalogue must do, whoever wrote it."""

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
from adumbra.inference.protocols import Posterior
from adumbra.networks.crossmodal import CrossModalConfig
from adumbra.networks.denoiser import MaskDenoiserConfig
from adumbra.networks.registry import LoadedNetwork, network_of
from adumbra.networks.unet import UNetConfig
from adumbra.networks.weights import Card
from adumbra.posterior.registry import POSTERIORS, posterior_of
from adumbra.posterior.swag import SwagMoments

CONFIG = UNetConfig(modalities=("dwi", "adc"), widths=(8, 16), dropout=0.2)
SHAPE = (28, 24, 20)


def made_network(config=CONFIG, seed=0):
    torch.manual_seed(seed)
    network = network_of(config)
    for name, parameter in network.named_parameters():
        if parameter.ndim == 5 or name.endswith("output.weight"):
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval().requires_grad_(False)


def made(network=None, *, name="", fitted=None, **about):
    network = network or made_network()
    card = Card("made", "", "unet", network.config.as_json(), 2.0, 16, 0.5, posterior={"name": name, **about})
    return LoadedNetwork(network, card, fitted or {})


def deep(network):
    return {name: p for name, p in network.named_parameters() if name.startswith("decoder.bottom")}


def made_of(name):
    """Weights that a posterior can be drawn from, fitted to nothing in particular."""
    network = made_network(replace(CONFIG, noise_rank=2)) if name == "heteroscedastic" else made_network()
    if name == "heteroscedastic":
        torch.nn.init.normal_(network.noise.weight, std=0.1)
    if name == "mask-diffusion":
        windows = (None,) * len(CONFIG.widths)
        return made(made_network(MaskDenoiserConfig(CONFIG.modalities, widths=CONFIG.widths, windows=windows)))
    if name == "variational":
        return made(network, name=name, fitted={n: torch.full_like(p, -3.0) for n, p in deep(network).items()})
    if name == "swag":
        snapshots = SwagMoments(rank=3)
        for _ in range(5):
            snapshots.add({n: p + 0.05 * torch.randn_like(p) for n, p in deep(network).items()})
        found = snapshots.fitted()
        parts = (("variance", found.variance), ("deviations", found.deviations))
        fitted = {f"{kind}/{n}": t for kind, tensors in parts for n, t in tensors.items()}
        return made(network, name=name, fitted=fitted)
    if name == "laplace":
        about = {"form": "full", "prior_precision": [1.0], "weight": 1.0}
        return made(network, name=name, fitted={"root": 0.1 * torch.eye(9)[None]}, **about)
    return made(network)


@pytest.fixture(
    params=[
        *(name for name in POSTERIORS if name != "deterministic"),
        "doubtful",
        "guided",
        "ensemble",
        "ensemble of dropout",
    ]
)
def posterior(request):
    if request.param == "doubtful":  # what dropout becomes where all of it lies deep
        return posterior_of([made(made_network(replace(CONFIG, widths=(8, 8, 8, 8))))])
    if request.param == "guided":
        config = CrossModalConfig(CONFIG.modalities, widths=CONFIG.widths, dropout=0.2, windows=(1, 2), guided=True)
        return posterior_of([replace(made(made_network(config)), first=made())])
    if request.param.startswith("ensemble"):
        members = [made(made_network(seed=seed)) for seed in range(3)]
        return posterior_of(members, "dropout" if "dropout" in request.param else "deterministic")
    return posterior_of([made_of(request.param)], request.param)


def made_case(spacing_mm=2.0, *, brain=True, modalities=("dwi", "adc")):
    rng = np.random.default_rng(1)
    grid = Grid(SHAPE, np.diag([spacing_mm] * 3 + [1.0]))
    mask = np.zeros(SHAPE, dtype=bool)
    mask[8:20, 8:16, 7:13] = True
    scans = {m: Scan(rng.normal(0, 1, SHAPE).astype(np.float32), grid, grid) for m in modalities}
    return Case("made", scans, {"brain": Scan(mask, grid, grid)} if brain else {})


def draws(posterior, n, seed=0):
    return list(posterior.draws(made_case(), n, np.random.default_rng(seed)))


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


def test_draws_and_more_draws_are_all_the_draws_at_once(posterior):
    generator = np.random.default_rng(7)
    parts = [*posterior.draws(made_case(), 2, generator), *posterior.draws(made_case(), 3, generator)]
    assert [v.tobytes() for v in parts] == [v.tobytes() for v in draws(posterior, 5, 7)]


def test_it_says_what_is_fixed_in_plain_values(posterior):
    assert posterior.targets == ("lesion",)
    assert json.loads(json.dumps(posterior.state)) == dict(posterior.state)
    assert posterior.state["approximation"]


def test_more_draws_begin_with_the_same_ones(posterior):
    assert np.array_equal(draws(posterior, 4)[1], draws(posterior, 2)[1])


def test_the_mean_of_the_draws_is_near_the_deterministic_volume(posterior):
    mean, certain = np.mean(draws(posterior, 30), axis=0), posterior.deterministic(made_case())
    assert np.abs(mean - certain).mean() < 0.02
    assert np.corrcoef(mean.ravel(), certain.ravel())[0, 1] > 0.95


def test_far_from_the_brain_nothing_is_probable(posterior):
    volume = draws(posterior, 1)[0]
    assert (volume[:3] == 0).all()
    assert volume[8:20, 8:16, 7:13].min() > 0


def test_a_missing_modality_is_no_error_but_none_at_all_is(posterior):
    rng = np.random.default_rng(0)
    assert next(iter(posterior.draws(made_case(modalities=("dwi",)), 1, rng))).shape == SHAPE
    with pytest.raises(MissingInput):
        posterior.draws(made_case(modalities=("tof",)), 1, rng)


def test_what_does_not_fit_is_refused_before_the_first_draw(posterior):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="at least 1"):
        posterior.draws(made_case(), 0, rng)
    with pytest.raises(GridMismatch):
        posterior.draws(made_case(spacing_mm=3.0), 1, rng)
    with pytest.raises(MissingInput):
        posterior.draws(made_case(brain=False), 1, rng)


def peak_of(posterior, n):
    """Peak of Python's own memory while draws are looked at and let go, in volumes."""
    gc.collect()
    gc.freeze()  # so that the collections below look at what the draws leave alone
    tracemalloc.start()
    for volume in posterior.draws(made_case(), n, np.random.default_rng(0)):
        volume.sum()
        gc.collect()  # cycles that wait for the collector are not held, and when it comes is chance
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    gc.unfreeze()
    return peak / (4 * np.prod(SHAPE))


def test_memory_does_not_grow_with_the_number_of_draws(posterior):
    peak_of(posterior, 1)
    assert peak_of(posterior, 40) < peak_of(posterior, 5) + 3
