"""Arteries, veins and flow of a network and of an ensemble, with untrained networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adumbra.core.case import Case, scan_from_array
from adumbra.core.geometry.grid import respaced
from adumbra.core.options import ComputeConfig
from adumbra.core.types import STRUCTURES
from adumbra.inference.structures import mean_structures
from adumbra.networks.registry import LoadedNetwork, network_of
from adumbra.networks.strided import StridedUNetConfig
from adumbra.networks.weights import Card
from adumbra.posterior.ensemble import EnsembleCase
from adumbra.posterior.native_grid import OnNativeGrid
from adumbra.posterior.registry import posterior_of

CONFIG = StridedUNetConfig(("swi", "tof"), ("thrombus", *STRUCTURES), widths=(4, 8), dropout=0.2)
COMPUTE = ComputeConfig(precision="f32", threads=None)


def case():
    rng = np.random.default_rng(0)
    scans = {m: scan_from_array(rng.normal(size=(12, 12, 12)).astype(np.float32), np.eye(4)) for m in ("swi", "tof")}
    return Case("a", scans, {"brain": scan_from_array(np.ones((12, 12, 12), bool), np.eye(4))})


def loaded(seed, config=CONFIG):
    torch.manual_seed(seed)
    network = network_of(config).eval().requires_grad_(False)
    return LoadedNetwork(network, Card(f"n{seed}", "", "strided-unet", config.as_json(), 1.0, 12, 0.5))


@pytest.mark.parametrize("name", ["deterministic", "dropout", "tta"])
def test_structures_are_the_other_channels_of_the_network(name):
    network = loaded(1)
    prepared = posterior_of([network], name, target="thrombus", compute=COMPUTE).prepare(case())
    maps = prepared.structure_maps()
    assert tuple(maps) == STRUCTURES
    images = torch.from_numpy(np.stack([case().scans[m].data for m in ("swi", "tof")]))[None]
    with torch.inference_mode():
        expected = network.network(images, torch.ones(1, 2))[0].sigmoid().numpy()
    for channel, structure in enumerate(STRUCTURES, start=1):
        assert np.allclose(maps[structure], expected[channel], atol=1e-5)
    assert np.allclose(prepared.deterministic(), expected[0], atol=1e-5)


def test_a_network_without_structures_has_none():
    network = loaded(1, replace(CONFIG, targets=("thrombus",)))
    assert posterior_of([network], "deterministic", compute=COMPUTE).prepare(case()).structure_maps() == {}


def test_the_members_of_an_ensemble_are_averaged_on_the_grid_of_the_scan():
    grid = respaced(case().grid, (2.0, 2.0, 2.0))
    posteriors = [posterior_of([loaded(n)], "deterministic", target="thrombus", compute=COMPUTE) for n in (1, 2)]
    members = [posterior.prepare(case()) for posterior in posteriors]
    native = [OnNativeGrid(member, case().grid, grid, np.ones(grid.shape, bool)) for member in members]
    maps = EnsembleCase(native).structure_maps()
    expected = (native[0].structure_maps()["veins"] + native[1].structure_maps()["veins"]) / 2
    assert maps["veins"].shape == grid.shape
    assert np.allclose(maps["veins"], expected)


def test_a_member_that_learns_no_structures_does_not_count():
    ones = np.ones((2, 2, 2), np.float32)
    maps = mean_structures([{"veins": ones}, {}, {"veins": 0 * ones, "flow": ones}])
    assert maps["veins"].mean() == 0.5
    assert maps["flow"].mean() == 1.0
    assert mean_structures([{}, {}]) == {}
