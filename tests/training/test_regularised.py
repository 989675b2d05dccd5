"""Trainings with a diffusion regulariser, with an uncertainty-weighted loss, or of a mask denoiser."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adumbra.core.errors import InputRejected
from adumbra.diffusion.regulariser import BlurConfig, RegulariserConfig
from adumbra.networks.crossmodal import CrossModalConfig
from adumbra.networks.denoiser import MaskDenoiser, MaskDenoiserConfig
from adumbra.networks.registry import load
from adumbra.networks.unet_config import UNetConfig
from adumbra.posterior.registry import posterior_of
from adumbra.training.cache import cache_cases
from adumbra.training.config import GuidanceConfig, LossConfig
from adumbra.training.loop import sample_batch, train
from adumbra.training.objective import LABEL_SMOOTHING, Batch
from adumbra.training.patches import Patches, open_cached_case
from adumbra.training.state import State

SHARP = RegulariserConfig(weight=0.1, blur=BlurConfig("none"))
GUIDED = GuidanceConfig("uncertainty", folds=2, steps=2, draws=1)
UNGUIDED = GuidanceConfig()


def state_and_cases(config, tmp_path, blob_refs):
    return State(config, torch.device("cpu")), tuple(
        open_cached_case(p) for p in cache_cases(blob_refs(2), tmp_path, config.cache)
    )


@pytest.mark.parametrize("kind", ["none", "uniform", "shuffled", "focused", "inverse"])
def test_every_blur_trains(kind, tmp_path, blob_refs, tiny_config):
    guidance = UNGUIDED if kind == "none" else GUIDED
    config = tiny_config(regulariser=RegulariserConfig(blur=BlurConfig(kind)), guidance=guidance, steps=3)
    loaded = load(train(blob_refs(3), tmp_path, config).weights)
    assert loaded.first_pass is None, "the network itself is not guided"
    assert loaded.card.architecture == "unet"


def test_a_blur_without_a_guide_is_refused(tmp_path, blob_refs, tiny_config):
    for config in (tiny_config(regulariser=RegulariserConfig()), tiny_config(guidance=GUIDED)):
        with pytest.raises(InputRejected, match="guide"):
            train(blob_refs(3), tmp_path, config)
    with pytest.raises(InputRejected, match="regulariser"):
        RegulariserConfig(weight=0.0)


def test_the_shared_encoder_learns_from_both(tmp_path, blob_refs, tiny_config):
    """During pretraining only encoder and denoiser change, then all parameters; the weight scales the loss."""
    config = tiny_config(regulariser=replace(SHARP, pretrain_share=0.5), steps=4)
    state, cases = state_and_cases(config, tmp_path, blob_refs)
    initial = {n: p.detach().clone() for n, p in state.parameters()}
    logged = state.step(0, sample_batch(cases, config, 0))
    assert set(logged) == {"loss", "denoising", "gradient", "learning_rate"}
    assert logged["loss"] == pytest.approx(logged["denoising"])
    moved = {n.split(".")[0] for n, p in state.parameters() if not torch.equal(p, initial[n])}
    assert moved == {"encoder", "denoiser"}
    logged = state.step(3, sample_batch(cases, config, 3))
    assert logged["loss"] == pytest.approx(logged["segmentation"] + logged["denoising"], rel=1e-5)
    full, tenth = (
        State(replace(config, loss=LossConfig(regulariser=replace(SHARP, weight=weight))), torch.device("cpu"))
        for weight in (1.0, 0.1)
    )
    one, other = (s.step(0, sample_batch(cases, config, 0))["denoising"] for s in (full, tenth))
    assert other == pytest.approx(0.1 * one, rel=1e-5)


def test_the_denoiser_learns(tmp_path, blob_refs, tiny_config):
    """Untrained it is no better than predicting no noise, whose error is 1; after some steps it is."""
    config = tiny_config(regulariser=replace(SHARP, pretrain_share=0.99), steps=60, learning_rate=3e-3)
    state, cases = state_and_cases(config, tmp_path, blob_refs)
    errors = [state.step(n, sample_batch(cases, config, n))["denoising"] for n in range(50)]
    assert np.mean(errors[-10:]) < 0.6 * np.mean(errors[:5])


def test_steps_after_a_checkpoint_are_those_of_an_uninterrupted_training(tmp_path, blob_refs, tiny_config):
    config = tiny_config(regulariser=replace(SHARP, pretrain_share=0.4), steps=8)
    whole, cases = state_and_cases(config, tmp_path, blob_refs)
    resumed = State(config, torch.device("cpu"))
    for number in range(2):
        whole.step(number, sample_batch(cases, config, number))
    resumed.restore({key: t.clone() for key, t in whole.tensors().items()})
    for number in range(2, 6):
        logged = [state.step(number, sample_batch(cases, config, number)) for state in (whole, resumed)]
        assert logged[0] == logged[1]
    for (name, a), (_, b) in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_uncertainty_loss_by_hand():
    """Uncertainties 0 and 1: weights 1 and 2; a label of 1 at uncertainty 1 moves a tenth of the way to 1/2."""
    voxels = np.zeros((1, 1, 1, 1, 2), dtype=np.float32)
    guidance, labels = voxels + np.arange(2), voxels + 1.0
    patches = Patches(voxels, voxels[0, :, 0, 0, :1], labels, voxels + 1, voxels + 1, guidance.astype(np.float32))
    batch = Batch.from_patches(patches, torch.device("cpu"))
    assert batch.with_uncertainty_loss("none") is batch
    assert batch.with_uncertainty_loss("weighted").weights.flatten().tolist() == [1.0, 2.0]
    assert batch.with_uncertainty_loss("smoothed").labels.flatten().tolist() == pytest.approx(
        [1.0, 1.0 - LABEL_SMOOTHING / 2]
    )


@pytest.mark.parametrize("uncertainty_loss", ["weighted", "smoothed"])
def test_trainings_with_an_uncertainty_loss_run(uncertainty_loss, tmp_path, blob_refs, tiny_config):
    config = tiny_config(uncertainty_loss=uncertainty_loss, guidance=GUIDED, steps=2)
    assert train(blob_refs(3), tmp_path, config).weights.is_file()


@pytest.mark.parametrize("attention", [False, True])
def test_a_mask_denoiser_gives_draws(attention, tmp_path, blob_refs, tiny_config, synthetic_case):
    network = MaskDenoiserConfig(
        modalities=("dwi", "adc"), widths=(8, 16), windows=(1, 2) if attention else (None, None), guided=attention
    )
    config = tiny_config(network=network, guidance=GUIDED if attention else UNGUIDED)
    loaded = load(train(blob_refs(3), tmp_path, config).weights)
    assert isinstance(loaded.network, MaskDenoiser)
    posterior = posterior_of([loaded])
    assert posterior.state["approximation"] == "mask diffusion"
    first, second = posterior.draws(synthetic_case(9), 2, np.random.default_rng(0))
    again = next(posterior.draws(synthetic_case(9), 1, np.random.default_rng(0)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    assert posterior.deterministic(synthetic_case(9)).shape == first.shape


def test_a_plain_mask_denoiser_has_no_single_modality_encoders():
    assert not any(".single." in name for name, _ in MaskDenoiser().named_parameters())


def test_other_weights_are_not_a_mask_diffusion(tmp_path, blob_refs, tiny_config):
    from adumbra.core.errors import WeightsRejected

    loaded = load(train(blob_refs(3), tmp_path, tiny_config(steps=1)).weights)
    with pytest.raises(WeightsRejected, match="mask denoiser"):
        posterior_of([loaded], "mask-diffusion")


def test_a_regulariser_goes_with_a_crossmodal_network(tmp_path, blob_refs, tiny_config):
    network = CrossModalConfig(modalities=("dwi", "adc"), widths=(8, 16), windows=(1, 2), guided=True)
    config = tiny_config(network=network, guidance=GUIDED, regulariser=RegulariserConfig(), steps=2)
    assert load(train(blob_refs(3), tmp_path, config).weights).first_pass is not None
    assert UNetConfig().guidance_channels == 0
