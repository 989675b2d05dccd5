"""A diffusion-weighted image of a whole kept head, by which it is placed in the atlas as a patient's head is."""

import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Volume
from adumbra.phantom.body import Body
from adumbra.phantom.local.kept_head import KeptHead
from adumbra.phantom.scanner import artefacts, sequences
from adumbra.phantom.scanner.artefacts import Receiver

_STEP = 2  # Voxels of the head between those of the image.


def head_image(head: KeptHead) -> tuple[Volume, Grid]:
    """The image without vessels, slices and distortion, at every second voxel of the head, and its grid.

    Args:
        head: The head.
    """
    x, y, z = head.grid.shape
    whole = head.volumes.read_all(head.volumes.names, (slice(0, x), slice(0, y), slice(0, z)))
    volumes = {name: np.ascontiguousarray(volume[::_STEP, ::_STEP, ::_STEP]) for name, volume in whole.items()}
    fractions = {name: volumes[f"tissue {name}"] for name in head.tissue_names}
    body = Body(fractions, head.tissues, volumes["extra_r2"], volumes["extra_r2_star"], None, None, None)
    texture = sequences.Texture(volumes["weight"], volumes["water"])
    signal = sequences.diffusion(body, texture, head.setup.diffusion)["dwi"]
    receiver = Receiver(head.noise.get("dwi", 0.0), 0.0, 0.0)
    image = artefacts.magnitude_image(np.random.default_rng([*head.name.encode()]), signal, receiver, averages=3)
    affine = head.grid.affine.copy()
    affine[:3, :3] *= _STEP
    i, j, k = signal.shape
    return image.astype(np.float32), Grid((i, j, k), affine)
