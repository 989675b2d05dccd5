"""Mirror images of cached cases: for a patch in training, with a jittered reflection, and for whole volumes.

The values are those of ``inference.model_input``, from the same function. Reflections map voxel indices of the cached
volumes, (4, 4).
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from safetensors import safe_open

from adumbra.core.case import MIRROR_BRAIN, Case
from adumbra.core.geometry.reflection import Box, mirror_channels, mirrored_box
from adumbra.core.types import Affine, Channels, Modality

MOST_TURN_DEG = 3.0
"""Largest rotation of the reflection about each axis, in training."""
MOST_SHIFT_MM = 2.0
"""Largest shift of the reflection along each axis, in training."""


def jittered(reflection: Affine, shape: tuple[int, int, int], rng: np.random.Generator, *, spacing_mm: float) -> Affine:
    """A reflection followed by a small random rotation about the centre of the volume, and a shift.

    The midline that is estimated for a new case is no more precise than that.
    """
    angles = np.radians(rng.uniform(-MOST_TURN_DEG, MOST_TURN_DEG, 3))
    shift = rng.uniform(-MOST_SHIFT_MM, MOST_SHIFT_MM, 3) / spacing_mm
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    turn_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    turn_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    turn_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    centre = (np.asarray(shape) - 1) / 2
    moved = np.eye(4)
    moved[:3, :3] = turn_z @ turn_y @ turn_x
    moved[:3, 3] = centre - moved[:3, :3] @ centre + shift
    return moved @ reflection


def mirror_patch(path: Path, shape: tuple[int, int, int], reflection: Affine, box: Box) -> tuple[Channels, np.ndarray]:
    """The images and the brain of the other side for a patch of a cached case.

    Args:
        path: The cache file.
        shape: Shape of its volumes.
        reflection: Index of a voxel to that of its mirror image.
        box: The voxels of the patch.

    Returns:
        The images, float32 (C, X, Y, Z), and the brain, 0 or 1, float32 (1, X, Y, Z).
    """
    with safe_open(path, framework="np") as file:
        channels, brain = (file.get_slice(name) for name in _of_other_side(file.keys()))
        images = mirrored_box(lambda b: channels[:, b[0], b[1], b[2]], shape, reflection, box)
        inside = mirrored_box(lambda b: brain[b[0], b[1], b[2]][None], shape, reflection, box)
    return images, (inside >= 0.5).astype(np.float32)


def other_side(
    case: Case, modalities: Sequence[Modality], crop: Callable[[np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
    """The arrays of a cached part of a head that show its other side; zeros where it was not acquired.

    Args:
        case: The part, with ``mirrors``.
        modalities: Modality of each channel.
        crop: Gives the part of a volume that is stored.
    """
    nothing = np.zeros(case.grid.shape, dtype=np.float32)
    scans = [case.mirrors[m].data if m in case.mirrors else nothing for m in modalities]
    brain = case.masks[MIRROR_BRAIN].data if MIRROR_BRAIN in case.masks else nothing
    return {
        "mirrors": np.stack([crop(scan).astype(np.float16) for scan in scans]),
        "mirror_brain": crop(brain).astype(np.uint8),
        "reflection": np.eye(4),  # The arrays are in place.
    }


def image_channels(path: Path, reflection: Affine | None) -> Channels:
    """The images of a cached case, float32 (C, X, Y, Z); with a reflection, their mirror images follow."""
    with safe_open(path, framework="np") as file:
        channels: Channels = file.get_tensor("channels").astype(np.float32)
        if reflection is None:
            return channels
        other, _ = _of_other_side(file.keys())
        images = channels if other == "channels" else file.get_tensor(other).astype(np.float32)
    return np.concatenate([channels, mirror_channels(images, reflection)])


def _of_other_side(names: Iterable[str]) -> tuple[str, str]:
    """The arrays that hold the images and the brain of the other side: for a part of a head, arrays of their own."""
    return ("mirrors", "mirror_brain") if "mirrors" in names else ("channels", "brain")
