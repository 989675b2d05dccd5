"""Members of an ensemble that work on grids of different spacing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adumbra.core.case import Case, Scan
from adumbra.core.geometry.grid import Grid
from adumbra.core.options import InferenceConfig
from adumbra.networks.registry import network_of
from adumbra.networks.strided import StridedUNetConfig
from adumbra.networks.weights import save_weights
from adumbra.segmentation_model import ENSEMBLE, load_model

CONFIG = StridedUNetConfig(modalities=("dwi", "adc"), widths=(4, 8), dropout=0.2)
SHAPE = (30, 26, 22)


def aligned_case():
    rng = np.random.default_rng(1)
    grid = Grid(SHAPE, np.diag([1.8, 1.8, 2.5, 1.0]))
    mask = np.zeros(SHAPE, dtype=bool)
    mask[6:24, 6:20, 5:17] = True
    scans = {m: Scan(rng.normal(100, 20, SHAPE).astype(np.float32), grid, grid) for m in CONFIG.modalities}
    scans["adc"] = replace(scans["adc"], data=scans["adc"].data / 120)
    return Case("random", scans, {"brain": Scan(mask, grid, grid)})


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Weights of three members; the second works at 1.5 mm, the third predicts noise."""
    folder, paths = tmp_path_factory.mktemp("members"), []
    kinds = ((2.0, "deterministic", None), (1.5, "deterministic", None), (2.0, "heteroscedastic", 2))
    for number, (spacing_mm, posterior, rank) in enumerate(kinds):
        torch.manual_seed(number)
        network = network_of(replace(CONFIG, noise_rank=rank))
        for parameter in network.parameters():
            if parameter.ndim == 5:
                torch.nn.init.normal_(parameter, std=0.2)
        card = {"architecture": "strided-unet", "config": network.config.as_json(), "spacing_mm": spacing_mm}
        card |= {"patch": 16, "threshold": 0.5, "training": {}, "posterior": {"name": posterior}}
        paths.append(folder / f"{number}.safetensors")
        save_weights(paths[-1], network.state_dict(), card)
    return tuple(paths)


def draws(weights, count=6):
    model, case = load_model("lesion", InferenceConfig(weights=weights, calibration="none")), aligned_case()
    within = case.masks["brain"].data
    prepared = model.prepare(model.network_cases(case), case.grid, within=within)
    return model, prepared, list(prepared.draws(count, np.random.default_rng(0)))


def test_draws_of_all_members_lie_on_the_native_grid(members):
    model, _, volumes = draws(members)
    assert model.posterior_name == ENSEMBLE
    assert all(volume.shape == SHAPE and volume.min() >= 0 and volume.max() <= 1 for volume in volumes)


def test_members_take_turns_and_deterministic_ones_are_computed_once(members):
    _, prepared, volumes = draws(members)
    assert volumes[0] is volumes[3]
    assert volumes[1] is volumes[4]
    assert not np.array_equal(volumes[2], volumes[5]), "the noise differs from draw to draw"
    assert not np.array_equal(volumes[0], volumes[1])
    assert np.array_equal(next(prepared.draws(1, np.random.default_rng(9))), volumes[0])


def test_each_member_is_the_network_alone(members):
    _, _, together = draws(members[:2], 2)
    for path, volume in zip(members[:2], together, strict=True):
        _, _, alone = draws(path, 1)
        assert np.array_equal(alone[0], volume)


def test_the_mean_is_that_of_the_deterministic_volumes(members):
    _, prepared, volumes = draws(members[:2], 2)
    assert np.allclose(prepared.deterministic(), np.mean(volumes, axis=0), atol=1e-6)
