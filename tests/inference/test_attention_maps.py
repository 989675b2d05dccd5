"""To whom a network listens: shares that are whole, nothing of who is missing, the gate as it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adumbra.core.geometry.components import dilated
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.results import AttentionMaps
from adumbra.inference.windowed_inference import InferenceConfig
from adumbra.networks.crossmodal import CrossModalConfig
from adumbra.networks.denoiser import MaskDenoiserConfig
from adumbra.networks.registry import LoadedNetwork, network_of
from adumbra.networks.unet import UNetConfig
from adumbra.networks.weights import Card
from adumbra.posterior.attention_maps import attention, attention_of, attention_on_grid
from adumbra.posterior.registry import posterior_of
from adumbra.posterior.sampled_posterior import SampledPosterior
from training.blobs import blob_case

TINY = CrossModalConfig(modalities=("dwi", "adc", "flair"), widths=(4, 8), windows=(1, 2), dropout=0.1)
EXACT = InferenceConfig(precision="f32")
FIRST = UNetConfig(modalities=("dwi", "adc", "flair"), widths=(4, 8), dropout=0.1)


def loaded(config, *, seed=0, patch=16, first=None):
    torch.manual_seed(seed)
    network = network_of(config).eval().requires_grad_(False)
    card = Card("tiny", f"{seed}", "crossmodal", {}, 2.0, patch, 0.5)
    return LoadedNetwork(network, card, first=first)


def case(*modalities):
    return blob_case(1, side=16, modalities=modalities or ("dwi", "adc", "flair"))


def near(of):
    return dilated(of.masks["brain"].data, of.grid, by_mm=8.0)


@pytest.mark.parametrize("windows", [(1, 2), (None, 0), (4, None)])
def test_shares_are_whole_near_the_brain_and_nothing_beyond(windows):
    given = case()
    heard = attention(given, loaded(replace(TINY, windows=windows), patch=8), EXACT)
    assert heard.primary == "dwi"
    assert list(heard.shares) == ["adc", "flair"]
    assert heard.opened is None
    total = heard.shares["adc"] + heard.shares["flair"]
    assert np.allclose(total[near(given)], 1.0, atol=1e-5)
    assert (total[~near(given)] == 0).all()
    assert heard.shares["adc"].min() >= 0
    assert heard.shares["adc"][near(given)].std() > 0, "it depends on where"


def test_in_one_window_it_is_what_the_network_says():
    given, network = case(), loaded(TINY)
    x = torch.from_numpy(np.stack([scan.data for scan in given.scans.values()]))[None]
    said = network.network.attention_weights(x, torch.ones(1, 3))[0][0].numpy()
    heard = attention(given, network, EXACT)
    inside = given.masks["brain"].data
    assert np.allclose(heard.shares["adc"][inside], said[0][inside], atol=1e-5)


def test_a_coarse_levels_cell_gives_its_share_to_all_its_voxels():
    heard = attention(case(), loaded(replace(TINY, windows=(None, 1))), EXACT)
    cells = heard.shares["adc"].reshape(8, 2, 8, 2, 8, 2)[2:6, :, 2:6, :, 2:6]
    assert np.allclose(cells, cells[:, :1, :, :1, :, :1], atol=1e-6)


def test_who_is_missing_has_no_share():
    given = case("dwi", "flair")
    heard = attention(given, loaded(TINY), EXACT)
    assert list(heard.shares) == ["flair"]
    assert np.allclose(heard.shares["flair"][near(given)], 1.0, atol=1e-5)


def test_nobody_listens():
    assert attention(case("dwi"), loaded(TINY)) is None, "no other modality is there"
    assert attention(case(), loaded(replace(TINY, windows=(None, None)))) is None
    assert attention_of(posterior_of([loaded(FIRST)]), case()) is None
    unlike = posterior_of([loaded(TINY), loaded(FIRST)], "dropout")
    assert attention_of(unlike, case()) is None, "a member that does not listen"


def test_all_together_listen_and_so_does_a_mask_denoiser():
    together = attention(case(), loaded(replace(TINY, primary=None)), EXACT)
    assert together.primary is None
    assert list(together.shares) == ["dwi", "adc", "flair"]
    denoiser = MaskDenoiserConfig(modalities=TINY.modalities, widths=(4, 8), windows=(1, None), primary="dwi")
    heard = attention_of(posterior_of([loaded(denoiser)], inference=EXACT), case())
    assert list(heard.shares) == ["adc", "flair"]


def test_doubt_opens_the_gate_and_the_case_is_read_once(monkeypatch):
    posterior = posterior_of([loaded(replace(TINY, guided=True), first=loaded(FIRST, seed=3))], inference=EXACT)
    first_pass_draws = []
    real = SampledPosterior.deterministic
    monkeypatch.setattr(SampledPosterior, "deterministic", lambda *a: first_pass_draws.append(1) or real(*a))
    given = posterior.doubted(case())
    assert len(first_pass_draws) == 3, "each modality alone"
    heard = attention_of(posterior, given)
    next(posterior.draws(given, 1, np.random.default_rng(0)))
    assert len(first_pass_draws) == 3
    expected = 1.0 / (1.0 + np.exp(2.0 - 4.0 * given.guidance[0].astype(np.float64)))  # of an untrained gate
    inside = near(given)
    assert np.allclose(heard.opened[inside], expected[inside], atol=1e-5)
    assert (heard.opened[~inside] == 0).all()
    assert np.allclose((heard.shares["adc"] + heard.shares["flair"])[inside], 1.0, atol=1e-5)
    another = posterior_of([loaded(replace(TINY, guided=True), first=loaded(FIRST, seed=4))], inference=EXACT)
    assert another.doubted(given) is not given, "it has a first reading of its own"
    assert np.array_equal(attention_of(posterior, case()).opened, heard.opened)


def test_an_ensemble_listens_as_its_members_do_on_average():
    members = [loaded(TINY, seed=0), loaded(TINY, seed=1)]
    one, two = (attention(case(), member, EXACT).shares["adc"] for member in members)
    both = attention_of(posterior_of(members, inference=EXACT), case())
    assert np.allclose(both.shares["adc"], (one + two) / 2, atol=1e-6)


def test_at_the_rim_another_grid_has_shares_that_are_whole():
    grid = Grid((12, 12, 12), np.diag([2.0, 2.0, 2.0, 1.0]))
    inside = np.zeros(grid.shape, dtype=bool)
    inside[3:9, 3:9, 3:9] = True
    shares = {m: np.where(inside, np.float32(s), np.float32(0)) for m, s in (("adc", 0.25), ("flair", 0.75))}
    finer = respaced(grid, (1.0, 1.0, 1.0))
    within = np.ones(finer.shape, dtype=bool)
    within[:12] = False
    heard = attention_on_grid(AttentionMaps("dwi", shares, 0.5 * inside.astype(np.float32)), grid, finer, within=within)
    there = heard.shares["adc"] > 0
    assert there.sum() > 0.4 * 8 * inside.sum()
    assert np.allclose(heard.shares["adc"][there], 0.25, atol=1e-5)
    assert np.allclose(heard.shares["flair"][there], 0.75, atol=1e-5)
    assert np.allclose(heard.opened[there], 0.5, atol=1e-5)
    assert not there[:12].any()
