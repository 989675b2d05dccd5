import itertools

import pytest
import torch
import torch.nn.functional as F

from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig
from adumbra.training.config import LossConfig, OptimiserConfig
from adumbra.training.losses import learning_rate, region_balanced, weighted_dice_loss
from adumbra.training.objective import Batch, segmentation_loss


def volumes(*rows):
    return torch.tensor(rows, dtype=torch.float32).reshape(len(rows), 1, -1, 1, 1)


def test_dice_by_hand():
    probability, truth = volumes([1.0, 0.5, 0.0, 0.0]), volumes([1.0, 1.0, 0.0, 0.0])
    ones = torch.ones_like(truth)
    # 2 · 1.5 = 3 over 1.5 + 2 = 3.5, each with the 1 that keeps 0 / 0 away
    assert weighted_dice_loss(probability, truth, ones) == pytest.approx(1 - 4 / 4.5)


def test_weights_count_as_repeated_voxels():
    once = weighted_dice_loss(volumes([0.7, 0.2]), volumes([1.0, 0.0]), volumes([3.0, 2.0]))
    repeated = volumes([0.7] * 3 + [0.2] * 2), volumes([1.0] * 3 + [0.0] * 2), torch.ones(1, 1, 5, 1, 1)
    assert once == pytest.approx(float(weighted_dice_loss(*repeated)))


def test_dice_is_computed_over_the_batch():
    """An empty patch beside a full one adds to the sums and has no loss of its own."""
    truth = volumes([1.0] * 50, [0.0] * 50)
    nearly = volumes([1.0] * 50, [0.0] * 49 + [1.0])
    assert weighted_dice_loss(nearly, truth, torch.ones_like(truth)) < 0.02


def test_a_certain_truth_costs_nothing_and_its_opposite_much():
    truth = volumes([1.0] * 8 + [0.0] * 56)
    ones = torch.ones_like(truth)
    assert region_balanced(40 * (truth - 0.5), truth, ones) < 1e-3
    assert region_balanced(-40 * (truth - 0.5), truth, ones) > 10


def test_an_empty_truth_has_a_gradient():
    logits = torch.zeros(2, 1, 4, 4, 4, requires_grad=True)
    region_balanced(logits, torch.zeros(2, 1, 4, 4, 4), torch.ones(2, 1, 4, 4, 4)).backward()
    assert (logits.grad > 0).all()


def test_the_loss_is_computed_in_float32():
    truth = volumes([1.0, 0.0])
    assert region_balanced(torch.zeros_like(truth).bfloat16(), truth, torch.ones_like(truth)).dtype == torch.float32


def test_the_learning_rate_rises_then_falls_to_zero():
    optimiser = OptimiserConfig(steps=100, warmup=10, learning_rate=1.0)
    rates = [learning_rate(step, optimiser) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_the_hardest_voxels_are_a_share_of_all_voxels():
    """By hand: of eight voxels without target one has logit 2. A share of 1/8 is this one; of 1/4, also one of ln 2."""
    logits, nothing = torch.zeros(1, 1, 2, 2, 2), torch.zeros(1, 1, 2, 2, 2)
    logits[0, 0, 0, 0, 0] = 2.0
    ones = torch.ones_like(logits)
    loss, ln2 = torch.nn.functional.softplus(torch.tensor([2.0, 0.0])).tolist()
    narrow, wide = (float(region_balanced(logits, nothing, ones, hard_voxel_fraction=share)) for share in (0.125, 0.25))
    assert narrow - wide == pytest.approx(0.5 * (loss - (loss + ln2) / 2), abs=1e-5)
    without = float(region_balanced(logits, nothing, ones, hard_voxel_fraction=0.0))
    assert narrow - without == pytest.approx(0.5 * loss, abs=1e-5)


@torch.no_grad()
def test_dice_and_cross_entropy_of_all_voxels_alike():
    """By the formulas of both terms, whatever the weights of the voxels are."""
    torch.manual_seed(0)
    network = UNet(UNetConfig(modalities=("dwi", "adc"), widths=(4, 8), dropout=0.0)).eval()
    images, labels = torch.randn(2, 2, 8, 8, 8), (torch.rand(2, 1, 8, 8, 8) > 0.8).float()
    guidance, present, ones = torch.zeros(2, 0, 8, 8, 8), torch.ones(2, 2), torch.ones_like(labels)
    even = Batch(images, present, labels, ones, ones, guidance)
    uneven = Batch(images, present, labels, 1.0 + labels, ones, guidance)
    logits = network(images, present)
    p, entropy = logits.sigmoid(), F.binary_cross_entropy_with_logits(logits, labels)
    expected = float(1 - (2 * (p * labels).sum() + 1) / ((p + labels).sum() + 1) + entropy)
    loss = LossConfig(kind="dice-cross-entropy")
    assert float(segmentation_loss(network, even, loss)) == pytest.approx(expected, abs=1e-4)
    assert float(segmentation_loss(network, uneven, loss)) == pytest.approx(expected, abs=1e-4)
    assert float(segmentation_loss(network, uneven, LossConfig())) > expected + 0.1
