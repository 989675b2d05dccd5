from dataclasses import replace

import numpy as np
import pytest
import torch

from adumbra.core.errors import OutputRefused
from adumbra.training.component_losses import component_dice_loss, component_tversky_loss
from adumbra.training.component_regions import component_regions, with_regions
from adumbra.training.config import LossConfig
from adumbra.training.loop import train
from adumbra.training.losses import overlap_loss, region_balanced, weighted_dice_loss
from adumbra.training.patches import Patches


def row(*values):
    """A patch of one row of voxels, (1, 1, N, 1, 1)."""
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, -1, 1, 1)


def regions_of(truth, *, nearest):
    return torch.from_numpy(component_regions(truth.numpy(), nearest=nearest))


def dice_loss(probability, truth):
    return component_dice_loss(probability, truth, regions_of(truth, nearest=True))


def tversky_loss(probability, truth, alpha=0.3):
    return component_tversky_loss(probability, truth, regions_of(truth, nearest=False), alpha=alpha)


TWO = row(1, 1, 1, 0, 0, 0, 0, 1)
P = row(1.0, 1.0, 0.4, 0.2, 0.0, 0.0, 0.1, 0.5)


def test_each_voxel_belongs_to_its_nearest_component():
    assert regions_of(TWO, nearest=True).flatten().tolist() == [1, 1, 1, 1, 1, 2, 2, 2]
    assert regions_of(TWO, nearest=False).flatten().tolist() == [1, 1, 1, 0, 0, 0, 0, 2]


def test_components_are_numbered_over_the_whole_batch():
    batch = np.zeros((3, 2, 4, 4, 4), dtype=np.float32)
    batch[0, 1, 0, 0, 0] = batch[2, 0, 0, 0, 0] = batch[2, 0, 3, 3, 3] = 1
    regions = component_regions(batch, nearest=True)
    assert regions.dtype == np.int32
    assert not regions[0, 0].any(), "a target without a component has the number 0"
    assert not regions[1].any(), "so has a patch without one"
    assert (regions[0, 1] == 1).all()
    assert set(np.unique(regions[2, 0])) == {2, 3}
    assert regions[2, 0, 1, 1, 1] != regions[2, 0, 2, 2, 2]


def test_component_dice_by_hand():
    """Cells of 5 and 3 voxels: 2 · 2.4 / (2.6 + 3) and 2 · 0.5 / (0.6 + 1)."""
    assert dice_loss(P, TWO) == pytest.approx(1 - (4.8 / 5.6 + 1.0 / 1.6) / 2)


def test_component_tversky_by_hand():
    """Mean probabilities 0.8 and 0.5 inside; 0.3 outside over 4 voxels inside is 0.075."""
    first, second = (r / (r + 0.3 * 0.075 + 0.7 * (1 - r)) for r in (0.8, 0.5))
    assert tversky_loss(P, TWO) == pytest.approx(1 - (first + second) / 2)


def test_one_component_gives_the_plain_losses():
    truth = row(0, 1, 1, 1, 0, 0)
    probability = row(0.1, 0.9, 0.7, 0.2, 0.3, 0.05)
    inside, outside = 0.9 + 0.7 + 0.2, 0.1 + 0.3 + 0.05
    assert dice_loss(probability, truth) == pytest.approx(1 - 2 * inside / (inside + outside + 3))
    assert tversky_loss(probability, truth) == pytest.approx(1 - inside / (inside + 0.3 * outside + 0.7 * (3 - inside)))
    assert tversky_loss(probability, truth, alpha=0.5) == pytest.approx(float(dice_loss(probability, truth)))
    # The weighted Dice differs by the 1 that it adds above and below.
    much = 1000
    large = (v.repeat(1, 1, much, 1, 1).reshape(1, 1, much, -1, 1).transpose(2, 3) for v in (probability, truth))
    large_probability, large_truth = large
    plain = weighted_dice_loss(large_probability, large_truth, torch.ones_like(large_truth))
    assert dice_loss(large_probability, large_truth) == pytest.approx(float(plain), abs=1e-3)


@pytest.mark.parametrize("loss", [dice_loss, tversky_loss])
def test_a_small_component_counts_as_much_as_a_large_one(loss):
    truth = row(*[1] * 60, *[0] * 20, 1)
    without_small, without_large = row(*[1] * 60, *[0] * 21), row(*[0] * 80, 1)
    assert loss(without_small, truth) == pytest.approx(0.5)
    assert loss(without_large, truth) == pytest.approx(0.5)
    assert weighted_dice_loss(without_small, truth, torch.ones_like(truth)) < 0.02


def test_false_positives_are_shared_by_size_or_belong_to_their_cell():
    extra = TWO.clone()
    extra[0, 0, 5:7] = 1.0  # nearest to the small component
    assert dice_loss(extra, TWO) == pytest.approx(1 - (1 + 2 / 4) / 2)
    assert tversky_loss(extra, TWO) == pytest.approx(1 - 1 / (1 + 0.3 * 2 / 4))


@pytest.mark.parametrize(("loss", "nearest"), [(component_dice_loss, True), (component_tversky_loss, False)])
def test_batches_with_and_without_components(loss, nearest):
    nothing = torch.zeros(2, 1, 4, 4, 4)
    probability = torch.full_like(nothing, 0.5, requires_grad=True)
    empty = loss(probability, nothing, regions_of(nothing, nearest=nearest))
    empty.backward()
    assert float(empty.detach()) == 0.0
    assert not probability.grad.any()
    truth = nothing.clone()
    truth[0, 0, :2] = 1
    perfect = loss(truth, truth, regions_of(truth, nearest=nearest))
    assert float(perfect) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("kind", ["component-dice", "component-tversky"])
def test_gradients_raise_components_and_lower_the_rest(kind):
    truth = torch.zeros(2, 1, 6, 6, 6)
    truth[0, 0, :2, :2, :2] = truth[0, 0, 5, 5, 5] = 1
    loss = LossConfig(kind=kind, component_share=1.0)
    logits = torch.zeros_like(truth, requires_grad=True)
    regions = regions_of(truth, nearest=kind == "component-dice")
    overlap = overlap_loss(loss, regions)
    overlap(logits.sigmoid(), truth, torch.ones_like(truth)).backward()
    assert (logits.grad[truth > 0] < 0).all()
    assert (logits.grad[0][truth[0] == 0] > 0).all()
    assert logits.grad[0, 0, 5, 5, 5] < 2 * logits.grad[0, 0, 0, 0, 0], "a voxel of a small component weighs more"
    logits.grad = None
    region_balanced(logits, truth, torch.ones_like(truth), overlap=overlap).backward()
    assert (logits.grad[truth == 0] > 0).all(), "the other terms lower patches without a component too"


def test_the_component_term_has_its_share():
    truth, ones = TWO, torch.ones_like(TWO)
    regions = regions_of(truth, nearest=True)
    mixture = overlap_loss(LossConfig(kind="component-dice", component_share=0.25), regions)
    plain, own = weighted_dice_loss(P, truth, ones), component_dice_loss(P, truth, regions)
    assert mixture(P, truth, ones) == pytest.approx(float(0.75 * plain + 0.25 * own))
    assert overlap_loss(LossConfig(), None)(P, truth, ones) == plain
    with pytest.raises(ValueError, match="expected those of the batch for component-dice, found none"):
        overlap_loss(LossConfig(kind="component-dice"), None)


def test_patches_have_the_regions_of_their_loss():
    labels = TWO.numpy()
    patches = Patches(labels, np.ones((1, 1), dtype=np.float32), labels, labels, labels, labels[:, :0])
    assert with_regions(patches, "region-balanced") is patches
    assert with_regions(patches, "component-tversky").regions.max() == 2
    assert with_regions(patches, "component-dice").regions.min() == 1


@pytest.mark.parametrize("kind", ["component-dice", "component-tversky"])
def test_trainings_with_component_losses(kind, blob_refs, tiny_config, tmp_path):
    """They run, and neither kind of loss resumes a training of the other."""
    config = tiny_config(kind=kind, steps=3, checkpoint_every=1)
    whole = train(blob_refs(3), tmp_path / "whole", config)
    other = replace(config, loss=LossConfig())
    with pytest.raises(OutputRefused, match=f"loss.kind = {kind}"):
        train(blob_refs(3), tmp_path / "whole", other)
    plain = train(blob_refs(3), tmp_path / "plain", other)
    assert plain.sha256 != whole.sha256
    with pytest.raises(OutputRefused, match=r"loss\.kind = region-balanced"):
        train(blob_refs(3), tmp_path / "plain", config)
