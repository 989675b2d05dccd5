from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from adumbra.core.case import Case, Scan
from adumbra.core.errors import WeightsRejected
from adumbra.core.geometry.grid import Grid
from adumbra.inference.windowed_inference import InferenceConfig
from adumbra.networks.registry import LoadedNetwork
from adumbra.networks.unet import UNet, UNetConfig
from adumbra.networks.weights import Card
from adumbra.posterior.mc_dropout import MCDropout
from adumbra.posterior.sampled_posterior import SampledPosterior

CONFIG = UNetConfig(modalities=("dwi", "adc"), widths=(8, 16, 16), dropout=0.3)


@pytest.fixture
def loaded():
    torch.manual_seed(0)
    network = UNet(CONFIG)
    for parameter in network.parameters():
        if parameter.ndim == 5:
            torch.nn.init.normal_(parameter, std=0.15)
    card = Card("made", "", "unet", CONFIG.as_json(), 2.0, 16, 0.5)
    return LoadedNetwork(network.eval().requires_grad_(False), card)


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    grid = Grid((30, 26, 22), np.diag([2.0, 2.0, 2.0, 1.0]))
    brain = np.zeros(grid.shape, dtype=bool)
    brain[5:25, 5:21, 5:17] = True
    scans = {m: Scan(rng.normal(0, 1, grid.shape).astype(np.float32), grid, grid) for m in ("dwi", "adc")}
    return Case("made", scans, {"brain": Scan(brain, grid, grid)})


def sampled(loaded, **inference):
    return SampledPosterior(loaded, MCDropout(), inference=InferenceConfig(**inference))


def draws(posterior, case, n=3, seed=0):
    return np.stack(list(posterior.draws(case, n, np.random.default_rng(seed))))


def test_dropout_is_on(loaded, case):
    first, second, third = draws(sampled(loaded), case)
    assert np.abs(first - second).max() > 0.01
    assert np.abs(second - third).max() > 0.01


def test_a_network_without_dropout_is_refused(loaded, case):
    network = UNet(replace(CONFIG, dropout=0.0))
    with pytest.raises(WeightsRejected, match="trained with dropout"):
        sampled(LoadedNetwork(network.eval(), loaded.card))


def test_a_draw_is_one_network_in_all_windows(loaded, case):
    """By hand: hold the masks, run every window, blend; and the encoder's features must not be shared by mistake."""
    from adumbra.inference.model_input import model_input

    posterior = sampled(loaded, precision="f32")
    kept = loaded.network.sample_dropout_masks(np.random.default_rng(4).spawn(1)[0])
    view = model_input(case, CONFIG, spacing_mm=2.0, side=16, overlap=0.25)
    assert len(view.windows.corners) > 1
    pieces = []
    for x, y, z in view.windows.boxes():
        window = torch.from_numpy(view.channels[None, :, x, y, z].copy())
        pieces.append(loaded.network(window, torch.ones(1, 2), kept).sigmoid()[0, 0].numpy())
    by_hand = view.restored(view.windows.blended(pieces))
    assert np.allclose(draws(posterior, case, 1, seed=4)[0], by_hand, atol=1e-5)


def test_features_that_do_not_fit_are_computed_again_to_the_same_bytes(loaded, case):
    assert np.array_equal(draws(sampled(loaded), case), draws(sampled(loaded, kept_gb=0.0), case))


@dataclass
class Counting(torch.nn.Module):
    """An encoder that counts its calls."""

    encoder: torch.nn.Module
    calls: int = 0

    def __post_init__(self):
        super().__init__()

    def __hash__(self):
        return id(self)

    def forward(self, x, present, kept=None):
        self.calls += 1
        return self.encoder(x, present, kept)


def test_the_encoder_sees_each_window_once(loaded, case):
    inner = loaded.network.encoder
    counting = torch.nn.Module.__new__(Counting)
    torch.nn.Module.__init__(counting)
    counting.encoder, counting.calls, counting.dropouts = inner, 0, inner.dropouts
    loaded.network.encoder = counting
    posterior = sampled(loaded)
    draws(posterior, case, n=1)
    windows = counting.calls
    counting.calls = 0
    draws(posterior, case, n=6)
    assert counting.calls == windows > 1


def test_bf16_is_near_f32(loaded, case):
    exact, fast = (draws(sampled(loaded, precision=p), case) for p in ("f32", "bf16"))
    assert np.abs(exact - fast).max() < 0.05
    assert not np.array_equal(exact, fast)


def test_sampling_leaves_the_callers_torch_as_it_was(loaded, case):
    stream = sampled(loaded).draws(case, 2, np.random.default_rng(0))
    next(stream)
    assert not torch.is_inference_mode_enabled()
    assert not torch.is_autocast_enabled("cpu")


def test_what_is_wrong_is_said_at_the_call(loaded, case):
    with pytest.raises(ValueError, match="at least 1"):
        sampled(loaded).draws(case, 0, np.random.default_rng(0))


def test_dropout_at_every_level_computes_the_encoder_for_every_draw(case):
    torch.manual_seed(0)
    network = UNet(replace(CONFIG, dropout=(0.2, 0.1, 0.3)))
    assert network.first_stochastic_stage == "encoder"
    assert [site.p for site in network.encoder.dropouts] == [0.2, 0.1]
    assert [site.p for site in network.decoder.dropouts] == [0.3, 0.3, 0.1, 0.2]
    card = Card("made", "", "unet", network.config.as_json(), 2.0, 16, 0.5)
    posterior = sampled(LoadedNetwork(network.eval().requires_grad_(False), card))
    first, second = draws(posterior, case, 2)
    assert np.abs(first - second).max() > 0.01
