"""Names of the options of a training. The command line imports them before anything heavy is loaded."""

from typing import Literal

Backbone = Literal["unet", "strided-unet", "crossmodal", "diffusion"]
"""A U-Net; one that computes little at full resolution and trains twice as fast; a network with an encoder for each
modality; a diffusion model of masks."""

Fusion = Literal["early", "late", "attention", "constant", "shuffled", "uncertainty", "oracle"]
"""Concatenation; averaged probabilities; attention whose gate is always open; attention whose gate is driven by a map:
the mean of the first pass's uncertainty, its values at random places, the uncertainty itself, or the true error."""

RegulariserMode = Literal["none", "joint", "pretrain", "both"]
"""When a diffusion model of the images shares the encoder: never, beside the segmentation, before it, or both."""

UncertaintyLoss = Literal["none", "weighted", "smoothed"]
"""How uncertainty U changes the loss, the closest published alternatives to the blur: voxels are weighted by 1 + U, or
labels are moved towards 1/2 by a tenth of U."""

LossKind = Literal["region-balanced", "component-tversky", "component-dice", "dice-cross-entropy"]
"""The loss: a Dice with weights that balance regions; half of that and half a term in which every component counts
alike: the component-adaptive Tversky loss, or the Dice of each component's Voronoi cell (CC-Dice). The last is Dice and
cross-entropy of all voxels alike, without a term of the hardest voxels."""

COMPONENT_LOSSES: tuple[LossKind, ...] = ("component-tversky", "component-dice")
"""The losses that need the components of a patch."""

TrainedPosterior = Literal[
    "dropout",
    "dropout-everywhere",
    "heteroscedastic",
    "laplace",
    "deterministic",
    "stochastic-segmentation",
    "swag",
    "variational",
]
"""Posteriors that a training can prepare."""
