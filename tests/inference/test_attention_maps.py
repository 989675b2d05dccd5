"""Cross-attention maps: weights that sum to 1, nothing of a missing modality, the gate of the network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adumbra.core.geometry.components import dilate
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.options import ComputeConfig
from adumbra.core.results import AttentionMaps
from adumbra.inference.attention_maps import attention_maps, attention_on_grid
from adumbra.inference.windowed_inference import WindowedInference
from adumbra.networks.crossmodal import CrossModalConfig
from adumbra.networks.denoiser import MaskDenoiserConfig
from adumbra.networks.registry import LoadedNetwork, network_of
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import Card
from adumbra.posterior.registry import posterior_of
from adumbra.posterior.sampled_posterior import SampledPosterior
from training.blobs import blob_case

TINY = CrossModalConfig(modalities=("dwi", "adc", "flair"), widths=(4, 8), windows=(1, 2), dropout=0.1)
EXACT = ComputeConfig(precision="f32")
FIRST = UNetConfig(modalities=("dwi", "adc", "flair"), widths=(4, 8), dropout=0.1)


def loaded(config, *, seed=0, patch=16, first_pass=None):
    torch.manual_seed(seed)
    network = network_of(config).eval().requires_grad_(False)
    card = Card("tiny", f"{seed}", "crossmodal", {}, 2.0, patch, 0.5)
    return LoadedNetwork(network, card, first_pass=first_pass)


def case(*modalities):
    return blob_case(1, side=16, modalities=modalities or ("dwi", "adc", "flair"))


def maps_of(of, network, compute=EXACT):
    return attention_maps(WindowedInference(of, network, "encoder", compute=compute))


def near(of):
    return dilate(of.masks["brain"].data, of.grid, by_mm=8.0)


@pytest.mark.parametrize("windows", [(1, 2), (None, 0), (4, None)])
def test_weights_sum_to_one_near_the_brain_and_are_zero_beyond(windows):
    given = case()
    maps = maps_of(given, loaded(replace(TINY, windows=windows), patch=8))
    assert maps.primary == "dwi"
    assert list(maps.weights) == ["adc", "flair"]
    assert maps.gate is None
    total = maps.weights["adc"] + maps.weights["flair"]
    assert np.allclose(total[near(given)], 1.0, atol=1e-5)
    assert (total[~near(given)] == 0).all()
    assert maps.weights["adc"].min() >= 0
    assert maps.weights["adc"][near(given)].std() > 0, "it depends on where"


def test_in_one_window_the_map_is_what_the_network_gives():
    given, network = case(), loaded(TINY)
    x = torch.from_numpy(np.stack([scan.data for scan in given.scans.values()]))[None]
    expected = network.network.attention_weights(x, torch.ones(1, 3))[0][0].numpy()
    maps = maps_of(given, network)
    inside = given.masks["brain"].data
    assert np.allclose(maps.weights["adc"][inside], expected[0][inside], atol=1e-5)


def test_a_coarser_voxel_gives_its_weight_to_all_voxels_within_it():
    maps = maps_of(case(), loaded(replace(TINY, windows=(None, 1))))
    cells = maps.weights["adc"].reshape(8, 2, 8, 2, 8, 2)[2:6, :, 2:6, :, 2:6]
    assert np.allclose(cells, cells[:, :1, :, :1, :, :1], atol=1e-6)


def test_a_missing_modality_has_no_weight():
    given = case("dwi", "flair")
    maps = maps_of(given, loaded(TINY))
    assert list(maps.weights) == ["flair"]
    assert np.allclose(maps.weights["flair"][near(given)], 1.0, atol=1e-5)


def test_there_are_no_maps_without_attention():
    assert maps_of(case("dwi"), loaded(TINY), ComputeConfig()) is None, "no other modality is available"
    assert maps_of(case(), loaded(replace(TINY, windows=(None, None))), ComputeConfig()) is None
    assert posterior_of([loaded(FIRST)]).prepare(case()).attention_maps() is None
    unlike = posterior_of([loaded(TINY), loaded(FIRST)], "dropout")
    assert unlike.prepare(case()).attention_maps() is None, "a member has no attention"


def test_all_modalities_together_can_attend_and_so_can_a_mask_denoiser():
    joint = maps_of(case(), loaded(replace(TINY, primary=None)))
    assert joint.primary is None
    assert list(joint.weights) == ["dwi", "adc", "flair"]
    denoiser = MaskDenoiserConfig(modalities=TINY.modalities, widths=(4, 8), windows=(1, None), primary="dwi")
    maps = posterior_of([loaded(denoiser)], compute=EXACT).prepare(case()).attention_maps()
    assert list(maps.weights) == ["adc", "flair"]


def test_uncertainty_opens_the_gate_and_the_first_pass_is_made_once(monkeypatch):
    guided = replace(TINY, guided=True)
    posterior = posterior_of([loaded(guided, first_pass=loaded(FIRST, seed=3))], compute=EXACT)
    passes = []
    real = SampledPosterior.deterministic
    monkeypatch.setattr(SampledPosterior, "deterministic", lambda *a: passes.append(1) or real(*a))
    given = case()
    guidance = posterior.guidance_maps(given)
    assert len(passes) == 3, "each modality alone"
    prepared = posterior.prepare(given, guidance)
    maps = prepared.attention_maps()
    next(prepared.draws(1, np.random.default_rng(0)))
    assert len(passes) == 3, "maps and draws come from one prepared case"
    expected = 1.0 / (1.0 + np.exp(2.0 - 4.0 * guidance[0].astype(np.float64)))  # of an untrained gate
    inside = near(given)
    assert np.allclose(maps.gate[inside], expected[inside], atol=1e-5)
    assert (maps.gate[~inside] == 0).all()
    assert np.allclose((maps.weights["adc"] + maps.weights["flair"])[inside], 1.0, atol=1e-5)
    another = posterior_of([loaded(guided, first_pass=loaded(FIRST, seed=4))], compute=EXACT)
    assert not np.array_equal(another.guidance_maps(given), guidance), "it has a first pass of its own"
    assert np.array_equal(posterior.prepare(case()).attention_maps().gate, maps.gate)
    assert len(passes) == 9


def test_the_maps_of_an_ensemble_are_the_mean_over_its_members():
    members = [loaded(TINY, seed=0), loaded(TINY, seed=1)]
    one, two = (maps_of(case(), member).weights["adc"] for member in members)
    both = posterior_of(members, compute=EXACT).prepare(case()).attention_maps()
    assert np.allclose(both.weights["adc"], (one + two) / 2, atol=1e-6)


def test_on_another_grid_the_weights_sum_to_one_at_the_rim():
    grid = Grid((12, 12, 12), np.diag([2.0, 2.0, 2.0, 1.0]))
    inside = np.zeros(grid.shape, dtype=bool)
    inside[3:9, 3:9, 3:9] = True
    weights = {m: np.where(inside, np.float32(s), np.float32(0)) for m, s in (("adc", 0.25), ("flair", 0.75))}
    finer = respaced(grid, (1.0, 1.0, 1.0))
    within = np.ones(finer.shape, dtype=bool)
    within[:12] = False
    coarse = AttentionMaps("dwi", weights, 0.5 * inside.astype(np.float32))
    maps = attention_on_grid(coarse, grid, finer, within=within)
    covered = maps.weights["adc"] > 0
    assert covered.sum() > 0.4 * 8 * inside.sum()
    assert np.allclose(maps.weights["adc"][covered], 0.25, atol=1e-5)
    assert np.allclose(maps.weights["flair"][covered], 0.75, atol=1e-5)
    assert np.allclose(maps.gate[covered], 0.5, atol=1e-5)
    assert not covered[:12].any()
