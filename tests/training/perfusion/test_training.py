"""The training of the estimate of hypoperfusion: imitated evidence, the loss, and resumption to the bit."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from adumbra.core.atlas.coarse_grid import ATLAS_GRID
from adumbra.core.errors import InputRejected
from adumbra.core.perfusion_evidence import FACTS, MAPS
from adumbra.networks.perfusion import PerfusionConfig, PerfusionOutput
from adumbra.simulation.stroke_maps import StrokeFacts, StrokeMaps, write_stroke_maps
from adumbra.training.config import OptimiserConfig, RuntimeConfig
from adumbra.training.perfusion.emission import EmissionConfig, sample_example
from adumbra.training.perfusion.loop import PerfusionTraining, train_perfusion
from adumbra.training.perfusion.loss import perfusion_loss

CERTAIN = replace(
    EmissionConfig(), cut=0.0, lesion_missed=0.0, false_lesions=0.0, clots_sought=1.0, clot_found=(1.0, 1.0),
    false_clots=0.0, flow_measured=1.0, flow_missing=0.0, flow_noise=(0.0, 0.0, 0.0), flow_behind=(("M1", 0.25, 0.25),),
)  # fmt: skip


def ball(centre_mm, radius_mm):
    places = ATLAS_GRID.world_mm(np.argwhere(np.ones(ATLAS_GRID.shape, dtype=bool)))
    return (np.linalg.norm(places - centre_mm, axis=1) < radius_mm).reshape(ATLAS_GRID.shape)


@pytest.fixture(scope="module")
def head():
    """A head with a stroke on the right and one whose artery has opened."""
    tissue = ball((0, -20, 10), 60)
    infarct, delayed = ball((40, -5, 15), 12), ball((40, -10, 20), 30) & tissue
    tmax = np.stack([np.where(delayed, 12.0, 1.2)[tissue], np.full(tissue.sum(), 1.2)]).astype(np.float32)
    cores = np.stack([infarct[tissue], infarct[tissue]]).astype(np.float32)
    flow = np.array([[1.0, 1.0], [0.25, 1.0], [1.0, 1.0]])
    closed = StrokeFacts(False, 5.0, np.array([[28.0, 4.0, -15.0]]), ("M1",), flow)
    opened = StrokeFacts(True, 80.0, np.zeros((0, 3)), (), np.ones((3, 2)))
    return StrokeMaps(tissue, tmax, cores, (closed, opened))


def test_evidence_lies_where_the_stroke_is(head):
    example = sample_example(head, 0, np.random.default_rng(0), CERTAIN, exact=True)
    lesion, clot, less = (example.channels[MAPS.index(name)] for name in ("lesion", "clot", "less flow"))
    assert example.closed
    assert not example.opened
    assert lesion[ball((40, -5, 15), 6)].mean() > 0.8
    assert lesion[ball((-40, -5, 15), 12)].max() < 0.05
    place = ATLAS_GRID.world_mm(np.argwhere(clot == clot.max()))[0]
    assert np.linalg.norm(place - [28, 4, -15]) < 15
    assert (ATLAS_GRID.world_mm(np.argwhere(less > 0))[:, 0] > 0).all()
    assert less.max() == pytest.approx(0.6, abs=1e-6)


def test_exchanged_sides_exchange_everything(head):
    both = {0: 0, 1: 0}
    for seed in range(12):
        example = sample_example(head, 0, np.random.default_rng(seed), CERTAIN)
        right = example.tmax_s[ATLAS_GRID.shape[0] // 2 :] > 6
        left = example.tmax_s[: ATLAS_GRID.shape[0] // 2] > 6
        on_right = right.sum() > left.sum()
        both[int(on_right)] += 1
        half = slice(ATLAS_GRID.shape[0] // 2, None) if on_right else slice(None, ATLAS_GRID.shape[0] // 2)
        for name in ("lesion", "clot", "less flow"):
            volume = example.channels[MAPS.index(name)]
            assert volume[half].sum() > 0.95 * volume.sum(), name
    assert min(both.values()) > 0


def test_what_was_not_acquired_is_not_imitated(head):
    config = replace(CERTAIN, clots_sought=0.0, onset_known=0.0, age_estimated=0.0)
    channels = sample_example(head, 0, np.random.default_rng(0), config, exact=True).channels
    first = len(MAPS)
    assert channels[2:5].max() == 0.0
    assert channels[first : first + len(FACTS)].max() == 0.0


def test_a_head_that_is_cut_hides_tissue_from_loss_and_evidence(head):
    example = sample_example(head, 0, np.random.default_rng(3), replace(CERTAIN, cut=1.0), exact=True)
    hidden = head.tissue & ~example.tissue
    assert hidden.any()
    assert example.channels[0][hidden].max() == 0.0


def output_of(latent, factors=0.0, rank=1):
    mean = torch.full((1, *ATLAS_GRID.shape), latent)
    return PerfusionOutput(
        mean, torch.full((1, rank, *ATLAS_GRID.shape), factors), torch.tensor([2.0]), torch.tensor(0.2)
    )


def test_the_loss_prefers_the_true_delay_and_honest_width(head):
    tissue, tmax = torch.from_numpy(head.tissue)[None], torch.full((1, *ATLAS_GRID.shape), 12.0)
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 64, 1), dtype=np.float32))

    def loss(latent, factors=0.0):
        terms = perfusion_loss(
            output_of(latent, factors), tissue, tmax, torch.ones(1), noise=noise, correlated_voxels=64.0
        )
        return float(terms[0])

    true = float(np.log(12 / 6))
    assert loss(true) < loss(true + 0.5)
    assert loss(true) < loss(true - 0.5)
    assert loss(true - 0.5, factors=0.5) < loss(true - 0.5), "a wrong mean is better with a spread than without"


def test_a_stroke_without_a_closed_artery_has_no_map_to_learn(head):
    tissue, tmax = torch.from_numpy(head.tissue)[None], torch.full((1, *ATLAS_GRID.shape), 1.0)
    of_map, of_state = perfusion_loss(
        output_of(0.0), tissue, tmax, torch.zeros(1), noise=torch.zeros(1, 2, 1), correlated_voxels=64.0
    )
    assert float(of_map) == 0.0
    assert float(of_state) == pytest.approx(np.log1p(np.exp(2.0)), rel=1e-5)


@pytest.fixture(scope="module")
def paths(head, tmp_path_factory):
    folder = tmp_path_factory.mktemp("strokes")
    own = [folder / f"{n}.safetensors" for n in range(3)]
    for path in own:
        write_stroke_maps(path, head)
    return own


def small_training(steps):
    return PerfusionTraining(
        network=PerfusionConfig(widths=(2, 2, 2, 2), rank=1),
        batch=1,
        samples=2,
        held_out=1,
        optimiser=OptimiserConfig(steps=steps, learning_rate=3e-3, warmup=2),
        runtime=RuntimeConfig(threads=1, precision="f32", validate_every=0, checkpoint_every=2),
    )


def test_a_stopped_training_is_resumed_to_the_bit(paths, tmp_path, monkeypatch):
    whole = train_perfusion(paths, tmp_path / "whole", small_training(3))
    from adumbra.training.perfusion import loop

    step, calls = loop.PerfusionState.step, []

    def interrupted(state, number, examples):
        if number == 2 and not calls:
            calls.append(number)
            raise KeyboardInterrupt
        return step(state, number, examples)

    monkeypatch.setattr(loop.PerfusionState, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_perfusion(paths, tmp_path / "parts", small_training(3))
    parts = train_perfusion(paths, tmp_path / "parts", small_training(3))
    one, other = load_file(whole), load_file(parts)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    scores = json.loads((tmp_path / "whole" / "weights.json").read_text())["training"]["scores"]
    assert 0.0 <= scores["dice"] <= 1.0


def test_a_training_without_heads_says_so(paths, tmp_path):
    with pytest.raises(InputRejected, match="3 heads of which 5 are held out"):
        train_perfusion(paths, tmp_path, replace(small_training(1), held_out=5))
