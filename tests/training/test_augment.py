from dataclasses import fields, replace

import numpy as np
import pytest

from adumbra.training.augment import Augmentation, augment
from adumbra.training.patches import Patches

MODALITIES = ("dwi", "adc", "b0", "flair")
NEVER = Augmentation(**{f.name: 0.0 for f in fields(Augmentation)})


def patch(side=16):
    rng = np.random.default_rng(0)
    channels = rng.normal(0, 0.8, (1, 4, side, side, side)).astype(np.float32)
    channels[:, :, :2] = 0.0
    labels = np.zeros((1, 1, side, side, side), dtype=np.float32)
    labels[0, 0, 3:6, 4:7, 5:8] = 1.0
    channels[0, 0, 3:6, 4:7, 5:8] = 9.0
    brain = np.zeros_like(labels)
    brain[0, 0, 2:10] = 1.0
    nothing = np.zeros((1, 0, *channels.shape[2:]), dtype=np.float32)
    return Patches(channels, np.ones((1, 4), dtype=np.float32), labels, 1 + labels, brain, nothing)


def changed(seed=0, **probabilities):
    augmentation = replace(NEVER, **probabilities)
    return augment(patch(), np.random.default_rng(seed), modalities=MODALITIES, augmentation=augmentation)


def test_without_augmentation_a_patch_is_unchanged():
    out, original = changed(), patch()
    assert all(np.array_equal(getattr(out, f.name), getattr(original, f.name)) for f in fields(Patches))


@pytest.mark.parametrize("kind", ["contrast", "noise", "smooth", "blocky", "shading", "slab"])
def test_each_change_changes_images_within_range_and_nothing_else(kind):
    out, original = changed(**{kind: 1.0}), patch()
    assert not np.allclose(out.channels, original.channels)
    assert (out.channels[:, :, :2] == 0).all(), "unmeasured voxels stay 0"
    assert out.channels.min() >= -4
    assert out.channels.max() <= 12
    assert np.corrcoef(out.channels[:, 0].ravel(), original.channels[:, 0].ravel())[0, 1] > 0.6
    assert np.array_equal(out.labels, original.labels)


def test_flips_take_labels_weights_and_brain_along():
    out, original = changed(mirror=1.0), patch()
    assert np.array_equal(out.channels, original.channels[:, :, ::-1])
    assert np.array_equal(out.labels, original.labels[:, :, ::-1])
    assert np.array_equal(out.weights, original.weights[:, :, ::-1])
    assert np.array_equal(out.brain, original.brain[:, :, ::-1])
    assert (out.channels[0, 0][out.labels[0, 0] > 0] == 9.0).all()


def test_omitted_channels_are_zero_and_marked_absent():
    patches = [changed(seed, missing=1.0) for seed in range(200)]
    present = np.concatenate([p.present for p in patches])
    assert (present.sum(axis=1) >= 1).all()
    assert present.mean(axis=0) == pytest.approx([0.97, 0.85, 0.6, 0.6], abs=0.09)
    for p in patches:
        assert (np.abs(p.channels[0]).sum(axis=(1, 2, 3)) > 0).tolist() == p.present[0].astype(bool).tolist()


def test_missing_modalities_stay_missing():
    original = replace(patch(), present=np.array([[1, 0, 0, 0]], dtype=np.float32))
    augmentation = Augmentation(missing=5.0)
    out = augment(original, np.random.default_rng(0), modalities=MODALITIES, augmentation=augmentation)
    assert out.present.tolist() == [[1.0, 0.0, 0.0, 0.0]]
    assert (out.channels[0, 1:] == 0).all()


def test_stripping_leaves_the_brain_and_makes_the_rest_one_value():
    values = set()
    for seed in range(12):
        out, inside = changed(seed, strip=1.0), patch().brain[0, 0] > 0
        assert np.array_equal(out.channels[0, 0][inside], patch().channels[0, 0][inside])
        outside = np.unique(out.channels[0, 0][~inside])
        assert len(outside) == 1
        values.add(bool(outside[0] == 0))
    assert values == {True, False}


def test_the_adc_is_disturbed_less_than_the_dwi():
    moved = np.zeros(4)
    for seed in range(30):
        difference = np.abs(changed(seed, contrast=1.0).channels - patch().channels)[0, :, 2:]
        moved += difference.mean(axis=(1, 2, 3))
    assert moved[1] < 0.6 * moved[2]


def test_the_same_generator_makes_the_same_patch():
    options = {"modalities": MODALITIES, "augmentation": Augmentation()}
    one, same = (augment(patch(), np.random.default_rng(5), **options) for _ in range(2))
    assert np.array_equal(one.channels, same.channels)
