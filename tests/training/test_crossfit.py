"""Guided trainings: who reads whom, what is kept, and that a guided network finds its way to a prediction."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from adumbra.core.errors import InputRejected, MissingInput
from adumbra.fusion.guidance import GUIDES
from adumbra.fusion.two_pass import GuidedCase
from adumbra.inference.model_input import model_input
from adumbra.networks.crossmodal import CrossModalConfig, LateAverageConfig
from adumbra.networks.registry import load
from adumbra.networks.unet import UNetConfig
from adumbra.posterior.registry import posterior_of
from adumbra.training import crossfit, loop
from adumbra.training.config import CrossFit
from adumbra.training.crossfit import first_config
from adumbra.training.loop import ramp_up, train
from adumbra.training.state import State

NETWORK = CrossModalConfig(
    modalities=("dwi", "adc"), widths=(8, 16), dropout=0.1, windows=(1, 2), guided=True, primary="dwi"
)


def guided(tiny_config, guide="uncertainty", **changes):
    network = replace(NETWORK, guided=guide != "none")
    return tiny_config(network=network, guide=guide, cross=CrossFit(folds=2, steps=3, draws=2), **changes)


def read(path, name="guidance"):
    with safe_open(path, framework="np") as file:
        return file.get_tensor(name)


@pytest.mark.parametrize("guide", GUIDES)
def test_every_guide_trains_and_predicts(guide, tmp_path, blob_refs, tiny_config, made_case):
    result = train(blob_refs(5), tmp_path, guided(tiny_config, guide))
    loaded = load(result.weights)
    assert (loaded.first is not None) == (guide != "none")
    posterior = posterior_of([loaded])
    first, second = posterior.draws(made_case(9), 2, np.random.default_rng(0))
    again = next(posterior.draws(made_case(9), 1, np.random.default_rng(0)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    maps = sorted((tmp_path / "first").glob("maps-*/*.safetensors"))
    assert len(maps) == (0 if guide == "none" else 5), "one for each case, held out or not"
    for path in maps:
        guidance = read(path)
        assert guidance.shape[0] == 3
        assert guidance.min() >= 0
        assert guidance.max() <= 1


def test_no_case_is_read_by_a_network_that_was_trained_on_it(tmp_path, blob_refs, tiny_config, monkeypatch):
    """Whom each first network is trained on, and who is read by it."""
    trained_on, read_by, weights = {}, {}, {}
    original = crossfit._read
    real = loop._first

    def watched(cases, out, config, **options):
        trained_on[out.name] = {case.name for case in cases}
        weights[out.name] = real(cases, out, config, **options)
        return weights[out.name]

    def reading(network, case, *rest):
        found = next(n for n, p in weights.items() if same(load(p).network, network))
        read_by[case.name] = found
        return original(network, case, *rest)

    def same(a, b):
        return all(np.array_equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))

    monkeypatch.setattr(loop, "_first", watched)
    monkeypatch.setattr(crossfit, "_read", reading)
    train(blob_refs(6), tmp_path, guided(tiny_config, held_out=2))
    assert len(read_by) == 6
    assert set(trained_on) == {"fold0", "fold1"}
    for name, fold in read_by.items():
        assert name not in trained_on[fold], f"{name} was trained on"
    assert {read_by[f"sub-{n:03d}"] for n in (4, 5)} == {"fold0"}, "held out of all, read by the first"


def unstable(finished):
    """As a training that goes on finishes: its hours differ, and so does the hash of its file."""
    return lambda found, config, out, identity, scores, seconds: finished(
        found, config, out, identity, scores, seconds + 3600
    )


def test_what_is_there_is_not_made_again(tmp_path, blob_refs, tiny_config, monkeypatch):
    shared = str(tmp_path / "first")
    train(blob_refs(4), tmp_path / "a", guided(tiny_config, first_pass_dir=shared))
    maps = sorted((tmp_path / "first").rglob("sub-*.safetensors"))
    made = [path.stat().st_mtime_ns for path in maps]
    monkeypatch.setattr(crossfit, "_read", None)
    monkeypatch.setattr(loop, "_finished", unstable(loop._finished))
    train(blob_refs(4), tmp_path / "b", guided(tiny_config, first_pass_dir=shared, seed=1))
    assert made == [path.stat().st_mtime_ns for path in maps]
    train(blob_refs(4), tmp_path / "c", guided(tiny_config, "shuffled", first_pass_dir=shared))
    a, c = (sorted((tmp_path / "first" / f"maps-{g}").glob("*")) for g in ("uncertainty", "shuffled"))
    assert np.array_equal(np.sort(read(a[0]).ravel()), np.sort(read(c[0]).ravel()))
    assert not np.array_equal(read(a[0]), read(c[0]))


def test_first_networks_go_on_from_the_initial_weights(tmp_path, blob_refs, tiny_config):
    """Where these are a plain U-Net's, or have one for their first reading; others are left out."""
    plain = UNetConfig(modalities=("dwi", "adc"), widths=(8, 16), dropout=0.1)
    begun = train(blob_refs(3), tmp_path / "plain", tiny_config(network=plain)).weights
    config = guided(tiny_config, initial=str(begun))
    assert first_config(config).initial == str(begun)
    assert first_config(guided(tiny_config)).initial == ""
    still = replace(config, learning_rate=1e-12, cross=replace(config.cross, steps=1))
    found = load(train(blob_refs(4), tmp_path / "guided", still).weights)
    known = load(begun).network.state_dict()
    for name, tensor in found.first.network.state_dict().items():
        assert np.allclose(tensor, known[name], atol=1e-6), f"{name} does not go on"
    again = replace(config, initial=str(tmp_path / "guided" / "weights.safetensors"))
    assert first_config(again).initial == again.initial
    state = State(replace(first_config(again), held_out=1), torch.device("cpu"))
    assert all(np.array_equal(t, state.network.state_dict()[n]) for n, t in found.first.network.state_dict().items())
    alone = train(blob_refs(3), tmp_path / "alone", guided(tiny_config, "none")).weights
    assert first_config(replace(config, initial=str(alone))).initial == ""


def test_as_many_draws_guide_a_prediction_as_guided_the_training(tmp_path, blob_refs, tiny_config):
    loaded = load(train(blob_refs(4), tmp_path, guided(tiny_config)).weights)
    assert posterior_of([loaded]).state["guided by"]["draws"] == 2
    untold = replace(loaded, card=replace(loaded.card, training={}))
    assert posterior_of([untold]).state["guided by"]["draws"] == 4


def test_a_guide_without_a_guided_network_is_refused(tmp_path, blob_refs, tiny_config):
    for config in (tiny_config(guide="uncertainty"), tiny_config(network=NETWORK)):
        with pytest.raises(InputRejected, match="guide"):
            train(blob_refs(4), tmp_path, config)


def test_a_guided_network_needs_its_doubt(made_case):
    case = made_case(0)
    with pytest.raises(MissingInput, match="doubt"):
        model_input(case, NETWORK, spacing_mm=2.0, side=16, overlap=0.25)
    guidance = np.random.default_rng(0).random((3, *case.grid.shape), dtype=np.float32)
    known = GuidedCase(case.name, case.scans, case.masks, case.provenance, guidance)
    view = model_input(known, NETWORK, spacing_mm=2.0, side=16, overlap=0.25)
    assert len(view.channels) == 5
    assert view.channels[2:].max() <= 1


def test_a_late_average_trains(tmp_path, blob_refs, tiny_config, made_case):
    network = LateAverageConfig(modalities=("dwi", "adc"), widths=(8, 16), dropout=0.1)
    loaded = load(train(blob_refs(3), tmp_path, tiny_config(network=network)).weights)
    assert loaded.card.architecture == "late-average"
    volume = next(posterior_of([loaded]).draws(made_case(9), 1, np.random.default_rng(0)))
    assert volume.shape == made_case(9).grid.shape


def test_held_out_cases_need_not_be_measured(tmp_path, blob_refs, tiny_config):
    for every in (0, 100):
        result = train(blob_refs(4), tmp_path / str(every), tiny_config(held_out=2, validate_every=every))
        assert bool(load(result.weights).card.training["results"]) == bool(every)


def test_modalities_are_left_out_the_more_often_the_further_a_training_is(tiny_config):
    config = tiny_config(steps=100, missing_ramp=0.5)
    assert [ramp_up(config, n).missing for n in (0, 25, 50, 99)] == [0.0, 0.5, 1.0, 1.0]
    assert ramp_up(tiny_config(), 0).missing == 1.0
