"""Mirror images: training and prediction see the same values, and both sides of a scan are augmented alike."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.geometry.midline import Plane
from adumbra.core.geometry.reflection import index_reflection, mirrored, plane_reflection
from adumbra.inference.model_input import model_input
from adumbra.inference.protocols import NetworkConfig
from adumbra.networks.crossmodal import CrossModalConfig, LateAverageConfig
from adumbra.networks.registry import load, network_of, transferred_weights
from adumbra.networks.strided import StridedUNetConfig
from adumbra.networks.unet_config import UNetConfig
from adumbra.preprocessing.pipeline import preprocess
from adumbra.training.augment import Augmentation, augment
from adumbra.training.cache import CacheConfig, _cropped_arrays, cache_cases, training_arrays
from adumbra.training.loop import sample_batch, train
from adumbra.training.mirror import MOST_SHIFT_MM, MOST_TURN_DEG, image_channels, jittered
from adumbra.training.objective import Batch
from adumbra.training.patches import Patches, open_cached_case, sample_patch
from adumbra.training.presets import TrainingPreset, config_for
from training.blobs import BlobRef, blob_case

MODALITIES = ("dwi", "adc")
MIRRORED = UNetConfig(modalities=MODALITIES, widths=(8, 16), dropout=0.1, mirrored=True)
NOTHING = Augmentation(mirror=0, flip=0, contrast=0, noise=0, smooth=0, blocky=0, shading=0, slab=0, missing=0, strip=0)


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    """The cached case, and the network case that prediction makes of the same files."""
    config = CacheConfig(modalities=MODALITIES, spacing_mm=2.0, least_side=16, mirrored=True)
    (path,) = cache_cases([BlobRef(3)], tmp_path_factory.mktemp("cache"), config)
    _, network_case = preprocess(blob_case(3), target="lesion", modalities=MODALITIES, spacing_mm=2.0, mirrored=True)
    return open_cached_case(path), network_case


def test_training_and_prediction_see_the_same_mirror_images(cached):
    case, network_case = cached
    volume = model_input(network_case, MIRRORED, spacing_mm=2.0, side=16, overlap=0.25)
    assert volume.channels.shape[0] == 4
    stored = image_channels(case.path, case.reflection)
    assert stored.shape == volume.channels.shape
    np.testing.assert_allclose(stored, volume.channels, atol=0.02)  # the cache is float16
    whole = mirrored(network_case.scans["dwi"].data, network_case.grid, network_case.reflection)
    np.testing.assert_allclose(volume.restore(volume.channels[2]), np.where(
        volume.restore(np.ones(volume.within.shape, np.float32)) > 0, whole, 0), atol=1e-4)  # fmt: skip
    assert np.abs(volume.channels[2] - volume.channels[0]).max() > 1  # the lesions lie on one side


def test_a_patch_is_a_part_of_the_mirrored_volume_up_to_the_jitter(cached, monkeypatch):
    case, _ = cached
    plain = sample_patch(case, np.random.default_rng(2), side=16, spacing_mm=2.0)
    assert plain.mirror is None
    monkeypatch.setattr("adumbra.training.patches.jittered", lambda reflection, *_, **__: reflection)
    exact = sample_patch(case, np.random.default_rng(2), side=16, spacing_mm=2.0, mirror_rng=np.random.default_rng(0))
    assert np.array_equal(exact.channels, plain.channels)  # the patches of an arm without mirror images
    whole = image_channels(case.path, case.reflection)
    places = [
        (i, j, k)
        for i, j, k in np.ndindex(*(n - 15 for n in case.shape))
        if np.array_equal(whole[:2, i : i + 16, j : j + 16, k : k + 16], plain.channels[0])
    ]
    ((i, j, k),) = places
    np.testing.assert_allclose(exact.mirror[0], whole[2:, i : i + 16, j : j + 16, k : k + 16], atol=1e-5)


def test_the_jitter_is_small_and_random():
    reflection = np.diag([-1.0, 1.0, 1.0, 1.0])
    shape, centre = (41, 41, 41), np.array([20.0, 20.0, 20.0, 1.0])
    rng = np.random.default_rng(0)
    matrices = [jittered(reflection, shape, rng, spacing_mm=2.0) for _ in range(50)]
    moves = np.array([m @ reflection for m in matrices])
    assert np.abs((moves @ centre - centre)[:, :3] * 2.0).max() <= MOST_SHIFT_MM + 1e-9
    assert (moves @ centre - centre)[:, :3].std(axis=0).min() > 0.3
    angles = np.degrees(np.arccos((np.trace(moves[:, :3, :3], axis1=1, axis2=2) - 1) / 2))
    assert 1.0 < angles.max() <= np.sqrt(3) * MOST_TURN_DEG


def patch_of(seed=0):
    rng = np.random.default_rng(seed)
    channels = rng.normal(0, 1, (1, 2, 12, 12, 12)).astype(np.float32)
    ones = np.ones((1, 1, 12, 12, 12), dtype=np.float32)
    brain = np.zeros_like(ones)
    brain[..., 2:10] = 1
    nothing = np.zeros((1, 0, 12, 12, 12), dtype=np.float32)
    # The other side is the same here, so that whatever differs afterwards is of the augmentation.
    return Patches(
        channels, np.ones((1, 2), np.float32), ones, ones, brain, nothing, mirror=channels.copy(), mirror_brain=brain
    )


def augmented(seed, **rates):
    patch, rng = patch_of(), np.random.default_rng(seed)
    options = {"modalities": MODALITIES, "augmentation": replace(NOTHING, **rates)}
    return augment(patch, rng, mirror_rng=np.random.default_rng(99), **options)


@pytest.mark.parametrize("change", ["mirror", "flip", "contrast", "smooth", "blocky", "slab", "strip"])
def test_both_sides_of_a_scan_are_changed_alike(change):
    patch = augmented(4, **{change: 1.0})
    assert not np.array_equal(patch.channels, patch_of().channels)
    np.testing.assert_array_equal(patch.mirror, patch.channels)


def test_noise_is_independent_and_equally_strong():
    patch = augmented(4, noise=1.0)
    noise, other = (a - patch_of().channels for a in (patch.channels, patch.mirror))
    assert abs(np.corrcoef(noise[0, 0].ravel(), other[0, 0].ravel())[0, 1]) < 0.1
    assert noise[0, 0].std() == pytest.approx(other[0, 0].std(), rel=0.1)


def test_shading_differs_less_between_the_sides_than_it_changes_them():
    patch = augmented(4, shading=1.0)
    change = np.abs(patch.channels - patch_of().channels).mean()
    assert 0 < np.abs(patch.mirror - patch.channels).mean() < change


def test_an_omitted_modality_is_zero_on_both_sides():
    omitted = [augmented(seed, missing=2.0) for seed in range(20)]
    assert any((patch.present == 0).any() for patch in omitted)
    for patch in omitted:
        for c in range(2):
            assert bool(patch.present[0, c]) == bool(patch.channels[0, c].any()) == bool(patch.mirror[0, c].any())


def test_images_are_the_same_with_and_without_mirror_images():
    everything = Augmentation()
    with_mirror, without = patch_of(), replace(patch_of(), mirror=None, mirror_brain=None)
    for seed in range(5):
        one, other = (
            augment(p, np.random.default_rng(seed), modalities=MODALITIES, augmentation=everything, mirror_rng=m)
            for p, m in ((with_mirror, np.random.default_rng(1)), (without, None))
        )
        np.testing.assert_array_equal(one.channels, other.channels)


def test_a_network_takes_mirror_images_and_is_conditioned_on_modalities_alone():
    network = network_of(MIRRORED)
    assert isinstance(MIRRORED, NetworkConfig)
    assert MIRRORED.image_channels == 4
    assert network(torch.zeros(1, 4, 8, 8, 8), torch.ones(1, 2)).shape == (1, 1, 8, 8, 8)
    strided = network_of(StridedUNetConfig(MODALITIES, widths=(4, 8), mirrored=True))
    assert strided(torch.zeros(1, 4, 8, 8, 8), torch.ones(1, 2)).shape == (1, 1, 8, 8, 8)
    for config in (CrossModalConfig, LateAverageConfig):
        with pytest.raises(ValueError, match="mirrored"):
            config(MODALITIES, mirrored=True)


def test_cards_of_networks_without_mirror_images_are_unchanged():
    assert "mirrored" not in UNetConfig().as_json()
    assert UNetConfig.from_json(UNetConfig().as_json()) == UNetConfig()
    assert UNetConfig.from_json(MIRRORED.as_json()) == MIRRORED
    assert not load("lesion").network.config.mirrored


def test_weights_without_mirror_images_start_a_network_that_ignores_them():
    source, network = network_of(replace(MIRRORED, mirrored=False)).eval(), network_of(MIRRORED).eval()
    network.load_state_dict(transferred_weights(source.state_dict(), network))
    x, present = torch.randn(1, 4, 8, 8, 8), torch.ones(1, 2)
    with torch.no_grad():
        torch.testing.assert_close(network(x, present), source(x[:, :2], present))


def test_a_preset_asks_for_a_network_that_reads_all_images_together():
    assert config_for(TrainingPreset(mirrored=True), "lesion").network.mirrored
    assert config_for(TrainingPreset("strided-unet", mirrored=True), "lesion").network.mirrored
    assert not config_for(TrainingPreset(), "lesion").cache.mirrored
    with pytest.raises(InputRejected, match="mirrored"):
        TrainingPreset("crossmodal", fusion="attention", mirrored=True)


def test_prediction_without_a_reflection_is_refused(cached):
    _, network_case = cached
    with pytest.raises(MissingInput, match="mirrored=True"):
        model_input(replace(network_case, reflection=None), MIRRORED, spacing_mm=2.0, side=16, overlap=0.25)


def test_a_case_that_brings_its_mirror_images_keeps_them(cached):
    _, network_case = cached
    other = {"dwi": network_case.scans["adc"]}
    inputs = model_input(replace(network_case, mirrors=other), MIRRORED, spacing_mm=2.0, side=16, overlap=0.25)
    np.testing.assert_array_equal(inputs.channels[2], inputs.channels[1])
    assert (inputs.channels[3] == 0).all()


def test_a_training_with_mirror_images_writes_weights_that_predict(tmp_path, blob_refs, tiny_config):
    config = replace(tiny_config(steps=2), network=MIRRORED)
    refs = blob_refs(2)
    result = train(refs, tmp_path, config)
    assert result.scores is not None
    loaded = load(result.weights)
    assert loaded.network.config == MIRRORED
    cases = [open_cached_case(p) for p in sorted((tmp_path / "cache").glob("*.safetensors"))]
    batch = sample_batch(cases, config, 0)
    assert batch.mirror.shape == batch.channels.shape
    x = Batch.from_patches(batch, torch.device("cpu")).network_input(guided=False)
    assert x.shape[1] == 4
    arrays = load_file(cases[0].path)
    assert np.linalg.det(arrays["reflection"]) < 0


def test_the_cache_without_mirror_images_is_that_of_earlier_versions(cached):
    assert "reflection" not in training_arrays(blob_case(3), CacheConfig(modalities=MODALITIES, least_side=16))


def test_the_stored_reflection_is_in_indices_of_the_cropped_volume(cached):
    _, network_case = cached
    plane = plane_reflection(Plane((1.0, 0.0, 0.0), 23.0))
    shifted = replace(network_case, reflection=plane)
    arrays = _cropped_arrays(shifted, CacheConfig(modalities=MODALITIES, least_side=40))
    crop = arrays["channels"][0].astype(np.float32)
    own = np.argwhere(crop != 0)
    low = (own.min(axis=0) - np.argwhere(network_case.scans["dwi"].data != 0).min(axis=0)).tolist()
    shift = np.eye(4)
    shift[:3, 3] = low
    expected = shift @ index_reflection(plane, network_case.grid) @ np.linalg.inv(shift)
    np.testing.assert_allclose(arrays["reflection"], expected, atol=1e-9)
