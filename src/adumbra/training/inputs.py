"""The input channels of a whole cached case, as validation and the fits of a posterior need them."""

import numpy as np

from adumbra.core.types import Channels
from adumbra.networks.unet_config import UNetConfig
from adumbra.training.context import context_volume
from adumbra.training.mirror import image_channels
from adumbra.training.patches import CachedCase


def input_channels(case: CachedCase, network: UNetConfig) -> Channels:
    """The images of a cached case, float32 (C, X, Y, Z), then mirror images and context inputs if the network has them.

    Raises:
        InputRejected: See ``training.context.context_volume``.
    """
    channels = image_channels(case.path, case.reflection if network.mirrored else None)
    if not network.context:
        return channels
    return np.concatenate([channels, context_volume(case.path, case.context, case.affine, network.context, case.shape)])
