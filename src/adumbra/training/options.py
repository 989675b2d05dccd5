"""What can be chosen of a training, by name. Only names: the command line reads them before much is loaded."""

from typing import Literal

Backbone = Literal["unet", "crossmodal", "diffusion"]
"""A U-Net; a network with an encoder for each modality; a diffusion model of masks."""

Fusion = Literal["early", "late", "attention", "constant", "shuffled", "uncertainty", "oracle"]
"""Concatenation; averaged probabilities; attention that is always open; attention that a map opens: its mean, its
values at random places, the doubt of a first reading itself, the true error."""

RegulariserMode = Literal["none", "joint", "pretrain", "both"]
"""When a diffusion model of the images shares the encoder: never, beside the segmentation, before it, or both."""

UncertaintyLoss = Literal["none", "weighted", "smoothed"]
"""What doubt does to the loss, the closest published relatives of the blur: voxels weigh 1 + U, or their labels are
drawn towards 1/2 by a tenth of U."""

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
"""What a training may leave to draw from."""
