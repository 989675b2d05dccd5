from dataclasses import fields, replace

import numpy as np
import pytest

from adumbra.training.augment import Augmentation, augmented
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


def changed(seed=0, **how):
    return augmented(patch(), np.random.default_rng(seed), modalities=MODALITIES, how=replace(NEVER, **how))


def test_nothing_asked_nothing_changed():
    out, pretrain_share = changed(), patch()
    assert all(np.array_equal(getattr(out, f.name), getattr(pretrain_share, f.name)) for f in fields(Patches))


@pytest.mark.parametrize("kind", ["contrast", "noise", "smooth", "blocky", "shading", "slab"])
def test_each_change_changes_images_within_range_and_nothing_else(kind):
    out, pretrain_share = changed(**{kind: 1.0}), patch()
    assert not np.allclose(out.channels, pretrain_share.channels)
    assert (out.channels[:, :, :2] == 0).all(), "what was not measured stays so"
    assert out.channels.min() >= -4
    assert out.channels.max() <= 12
    assert np.corrcoef(out.channels[:, 0].ravel(), pretrain_share.channels[:, 0].ravel())[0, 1] > 0.6
    assert np.array_equal(out.labels, pretrain_share.labels)


def test_flips_take_labels_weights_and_brain_along():
    out, pretrain_share = changed(mirror=1.0), patch()
    assert np.array_equal(out.channels, pretrain_share.channels[:, :, ::-1])
    assert np.array_equal(out.labels, pretrain_share.labels[:, :, ::-1])
    assert np.array_equal(out.weights, pretrain_share.weights[:, :, ::-1])
    assert np.array_equal(out.brain, pretrain_share.brain[:, :, ::-1])
    assert (out.channels[0, 0][out.labels[0, 0] > 0] == 9.0).all()


def test_left_out_channels_are_zero_and_told():
    seen = [changed(seed, missing=1.0) for seed in range(200)]
    present = np.concatenate([s.present for s in seen])
    assert (present.sum(axis=1) >= 1).all()
    assert present.mean(axis=0) == pytest.approx([0.97, 0.85, 0.6, 0.6], abs=0.09)
    for s in seen:
        assert (np.abs(s.channels[0]).sum(axis=(1, 2, 3)) > 0).tolist() == s.present[0].astype(bool).tolist()


def test_what_was_missing_stays_missing():
    pretrain_share = replace(patch(), present=np.array([[1, 0, 0, 0]], dtype=np.float32))
    out = augmented(pretrain_share, np.random.default_rng(0), modalities=MODALITIES, how=Augmentation(missing=5.0))
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
    how = Augmentation()
    one, same = (augmented(patch(), np.random.default_rng(5), modalities=MODALITIES, how=how) for _ in range(2))
    assert np.array_equal(one.channels, same.channels)
