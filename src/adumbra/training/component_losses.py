"""Overlap losses in which every ground-truth component counts alike, whatever its size.

A Dice of all voxels is dominated by the largest lesion. Here each component has an overlap of its own, and the loss is
one minus the mean over the components of the batch. Patches without a component add no term; a batch without one has
the loss 0. The other terms of the loss penalise false positives there, see ``training.losses``.

The numbers of the components come from ``training.component_regions``. With one component in one patch the losses are
the Tversky and the Dice loss of the patch.
"""

import torch
from torch import Tensor

from adumbra.core.references import cites


@cites("Salehi2017", "Luu2026")
def component_tversky_loss(probability: Tensor, truth: Tensor, regions: Tensor, *, alpha: float = 0.3) -> Tensor:
    """1 - mean_c TP_c / (TP_c + α FP_c + β FN_c), with β = 1 - α.

    TP_c and FN_c are the probabilities p and 1 - p summed over component c. False positives belong to no component.
    Their sum over the batch, Σ p outside all components, is divided among the components in proportion to their sizes.
    Each term is therefore r / (r + α f + β (1 - r)), where r is the mean probability in the component and f the ratio
    of the false positives to the voxels of all components. Each voxel of a component has a weight inverse to its size.

    Args:
        probability: (B, T, X, Y, Z), in [0, 1].
        truth: (B, T, X, Y, Z), 0 or 1; values above 1/2 count as 1.
        regions: (B, T, X, Y, Z), integers: the number of the component of each of its voxels, from 1 on.
        alpha: Weight of the false positives, in [0, 1].

    Returns:
        A scalar in [0, 1]; 0 where there is no component.
    """
    inside = truth > 0.5
    overlap, sizes = _sums_by_component(probability[inside], regions[inside])
    if not len(sizes):
        return probability.sum() * 0.0
    recall = overlap / sizes
    excess = (probability * ~inside).sum() / sizes.sum()
    return 1.0 - (recall / (recall + alpha * excess + (1.0 - alpha) * (1.0 - recall))).mean()


@cites("Jaus2025", "Bouteille2025")
def component_dice_loss(probability: Tensor, truth: Tensor, regions: Tensor) -> Tensor:
    """1 - mean_c 2 Σ p y / Σ (p + y), each sum over the Voronoi cell of component c: the CC-Dice.

    Args:
        probability: (B, T, X, Y, Z), in [0, 1].
        truth: (B, T, X, Y, Z), 0 or 1; values above 1/2 count as 1.
        regions: (B, T, X, Y, Z), integers: the number of the nearest component of each voxel, from 1 on; 0 in patches
            without a component.

    Returns:
        A scalar in [0, 1]; 0 where there is no component.
    """
    inside = truth > 0.5
    overlap, sizes = _sums_by_component(probability[inside], regions[inside])
    if not len(sizes):
        return probability.sum() * 0.0
    flat = regions.flatten()
    predicted = probability.new_zeros(len(sizes) + 1).index_add(0, flat, probability.flatten())[1:]
    return 1.0 - (2.0 * overlap / (predicted + sizes)).mean()


def _sums_by_component(values: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of the values of each component, and its number of voxels, each (K,)."""
    count = int(numbers.max()) if len(numbers) else 0
    sums = values.new_zeros(count + 1).index_add(0, numbers, values)[1:]
    return sums, torch.bincount(numbers, minlength=count + 1)[1:].to(values.dtype)
