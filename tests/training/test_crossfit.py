"""Guided trainings: cross-fitting, reuse of the first pass, and prediction with a guided network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from adumbra.core.errors import InputRejected, MissingInput
from adumbra.fusion.guidance import GUIDES
from adumbra.inference.model_input import model_input
from adumbra.networks.crossmodal import CrossModalConfig, LateAverageConfig
from adumbra.networks.registry import load
from adumbra.networks.unet_config import UNetConfig
from adumbra.posterior.registry import posterior_of
from adumbra.training import crossfit, loop
from adumbra.training.config import DataConfig, GuidanceConfig
from adumbra.training.crossfit import first_pass_config
from adumbra.training.loop import ramp_up, train
from adumbra.training.state import State

NETWORK = CrossModalConfig(
    modalities=("dwi", "adc"), widths=(8, 16), dropout=0.1, windows=(1, 2), guided=True, primary="dwi"
)


def guided(tiny_config, guide="uncertainty", **changes):
    network = replace(NETWORK, guided=guide != "none")
    guidance = GuidanceConfig(guide, folds=2, steps=3, draws=2)
    return tiny_config(network=network, guidance=guidance, **changes)


def read(path, name="guidance"):
    with safe_open(path, framework="np") as file:
        return file.get_tensor(name)


@pytest.mark.parametrize("guide", GUIDES)
def test_every_guide_trains_and_predicts(guide, tmp_path, blob_refs, tiny_config, synthetic_case):
    result = train(blob_refs(5), tmp_path, guided(tiny_config, guide))
    loaded = load(result.weights)
    assert (loaded.first_pass is not None) == (guide != "none")
    posterior = posterior_of([loaded])
    first, second = posterior.draws(synthetic_case(9), 2, np.random.default_rng(0))
    again = next(posterior.draws(synthetic_case(9), 1, np.random.default_rng(0)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    maps = sorted((tmp_path / "first").glob("maps-*/*.safetensors"))
    assert len(maps) == (0 if guide == "none" else 5), "one for each case, held out or not"
    for path in maps:
        guidance = read(path)
        assert guidance.shape[0] == 3
        assert guidance.min() >= 0
        assert guidance.max() <= 1


def test_no_case_is_predicted_by_a_network_that_was_trained_on_it(tmp_path, blob_refs, tiny_config, monkeypatch):
    """Records the cases that each first-pass network is trained on, and those that it predicts."""
    trained_on, predicted_by, weights = {}, {}, {}
    predict, train_first_pass = crossfit._first_pass_maps, loop._train_first_pass

    def recorded_training(cases, out, config, **options):
        trained_on[out.name] = {case.name for case in cases}
        weights[out.name] = train_first_pass(cases, out, config, **options)
        return weights[out.name]

    def recorded_prediction(network, case, *rest):
        predicted_by[case.name] = next(n for n, p in weights.items() if same(load(p).network, network))
        return predict(network, case, *rest)

    def same(a, b):
        return all(np.array_equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))

    monkeypatch.setattr(loop, "_train_first_pass", recorded_training)
    monkeypatch.setattr(crossfit, "_first_pass_maps", recorded_prediction)
    train(blob_refs(6), tmp_path, guided(tiny_config, held_out=2))
    assert len(predicted_by) == 6
    assert set(trained_on) == {"fold0", "fold1"}
    for name, fold in predicted_by.items():
        assert name not in trained_on[fold], f"{name} was trained on"
    assert {predicted_by[f"sub-{n:03d}"] for n in (4, 5)} == {"fold0"}, "held out of all folds, predicted by the first"


def an_hour_later(write_weights):
    """Writes weights as a resumed training does: the hours on the card differ, and with them the hash of the file."""
    return lambda posterior, config, out, identity, scores, seconds: write_weights(
        posterior, config, out, identity, scores, seconds + 3600
    )


def test_an_existing_first_pass_is_not_computed_again(tmp_path, blob_refs, tiny_config, monkeypatch):
    shared = str(tmp_path / "first")
    train(blob_refs(4), tmp_path / "a", guided(tiny_config, first_pass_dir=shared))
    maps = sorted((tmp_path / "first").rglob("sub-*.safetensors"))
    written = [path.stat().st_mtime_ns for path in maps]
    monkeypatch.setattr(crossfit, "_first_pass_maps", None)
    monkeypatch.setattr(loop, "_write_weights", an_hour_later(loop._write_weights))
    train(blob_refs(4), tmp_path / "b", guided(tiny_config, first_pass_dir=shared, seed=1))
    assert written == [path.stat().st_mtime_ns for path in maps]
    train(blob_refs(4), tmp_path / "c", guided(tiny_config, "shuffled", first_pass_dir=shared))
    a, c = (sorted((tmp_path / "first" / f"maps-{g}").glob("*")) for g in ("uncertainty", "shuffled"))
    assert np.array_equal(np.sort(read(a[0]).ravel()), np.sort(read(c[0]).ravel()))
    assert not np.array_equal(read(a[0]), read(c[0]))


def test_first_pass_networks_are_fine_tuned_from_the_initial_weights(tmp_path, blob_refs, tiny_config):
    """Only where these are a plain U-Net's, or have one as their first-pass network."""
    plain = UNetConfig(modalities=("dwi", "adc"), widths=(8, 16), dropout=0.1)
    plain_weights = train(blob_refs(3), tmp_path / "plain", tiny_config(network=plain)).weights
    config = guided(tiny_config, initial=str(plain_weights))
    assert first_pass_config(config).optimiser.initial == str(plain_weights)
    assert first_pass_config(guided(tiny_config)).optimiser.initial == ""
    unchanged = replace(
        config,
        optimiser=replace(config.optimiser, learning_rate=1e-12),
        guidance=replace(config.guidance, steps=1),
    )
    loaded = load(train(blob_refs(4), tmp_path / "guided", unchanged).weights)
    initial = load(plain_weights).network.state_dict()
    first = loaded.first_pass.network.state_dict()
    for name, tensor in first.items():
        assert np.allclose(tensor, initial[name], atol=1e-6), f"{name} starts from scratch"
    again = guided(tiny_config, initial=str(tmp_path / "guided" / "weights.safetensors"))
    assert first_pass_config(again).optimiser.initial == again.optimiser.initial
    state = State(first_pass_config(again), torch.device("cpu"))
    assert all(np.array_equal(t, state.network.state_dict()[n]) for n, t in first.items())
    unguided = train(blob_refs(3), tmp_path / "unguided", guided(tiny_config, "none")).weights
    assert first_pass_config(guided(tiny_config, initial=str(unguided))).optimiser.initial == ""


def test_as_many_draws_guide_a_prediction_as_guided_the_training(tmp_path, blob_refs, tiny_config):
    loaded = load(train(blob_refs(4), tmp_path, guided(tiny_config)).weights)
    assert posterior_of([loaded]).state["guided by"]["draws"] == 2
    silent = replace(loaded, card=replace(loaded.card, training={}))
    assert posterior_of([silent]).state["guided by"]["draws"] == 4


def test_a_guide_without_a_guided_network_is_refused(tmp_path, blob_refs, tiny_config):
    for config in (tiny_config(guidance=GuidanceConfig("uncertainty")), tiny_config(network=NETWORK)):
        with pytest.raises(InputRejected, match="guide"):
            train(blob_refs(4), tmp_path, config)


def test_a_guided_network_needs_its_guidance_maps(synthetic_case):
    case = synthetic_case(0)
    with pytest.raises(MissingInput, match="guidance"):
        model_input(case, NETWORK, spacing_mm=2.0, side=16, overlap=0.25)
    guidance = np.random.default_rng(0).random((3, *case.grid.shape), dtype=np.float32)
    inputs = model_input(case, NETWORK, spacing_mm=2.0, side=16, overlap=0.25, guidance=guidance)
    assert len(inputs.channels) == 5
    assert inputs.channels[2:].max() <= 1


def test_a_late_average_trains(tmp_path, blob_refs, tiny_config, synthetic_case):
    network = LateAverageConfig(modalities=("dwi", "adc"), widths=(8, 16), dropout=0.1)
    loaded = load(train(blob_refs(3), tmp_path, tiny_config(network=network)).weights)
    assert loaded.card.architecture == "late-average"
    volume = next(posterior_of([loaded]).draws(synthetic_case(9), 1, np.random.default_rng(0)))
    assert volume.shape == synthetic_case(9).grid.shape


def test_held_out_cases_need_not_be_validated(tmp_path, blob_refs, tiny_config):
    for every in (0, 100):
        result = train(blob_refs(4), tmp_path / str(every), tiny_config(held_out=2, validate_every=every))
        assert bool(load(result.weights).card.training["results"]) == bool(every)


def test_the_rate_of_omitted_modalities_rises_over_the_training():
    data = DataConfig(missing_ramp=0.5)
    assert [ramp_up(data, n, 100).missing for n in (0, 25, 50, 99)] == [0.0, 0.5, 1.0, 1.0]
    assert ramp_up(DataConfig(), 0, 100).missing == 1.0
