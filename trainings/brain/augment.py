"""Samples training examples of the brain network: any contrast, noise, field of view, pose, and skull stripping.

Three kinds of example: simulated acquisitions; tissue maps of simulated heads with random contrasts (Billot et al.,
Med Image Anal 2023, 86:102789); and heads of analytic shape, so that shape alone does not decide. Nothing is real.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from simulate import DEEPEST_MM, STORED_MM

from adumbra.preprocessing.brain_input import SPACING_MM, normalised

SHAPE = (48, 56, 40)
"""Voxels of an example at 4 mm."""
SURFACE_MM = 1.0
"""Depth up to which the brain extends: its surface and the fluid of the sulci."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A head before its intensities are changed, on the grid of an example.

    Attributes:
        image: (X, Y, Z), values; 0 where nothing was measured.
        share: (X, Y, Z), the measured share.
        depth_mm: (X, Y, Z), the signed distance to the brain's surface, negative inside.
    """

    image: np.ndarray
    share: np.ndarray
    depth_mm: np.ndarray


def smooth(rng: np.random.Generator, knots: int) -> np.ndarray:
    """A smooth field of unit variance at its knots, (X, Y, Z)."""
    coarse = torch.from_numpy(rng.standard_normal((1, 1, knots, knots, knots), dtype=np.float32))
    return F.interpolate(coarse, size=SHAPE, mode="trilinear", align_corners=True)[0, 0].numpy()


def sample_pose(rng: np.random.Generator, centre: np.ndarray) -> tuple[np.ndarray, float]:
    """Affine map (3, 4) from the index of an example to that of a stored volume, and its magnification."""
    widest = 30.0 if rng.random() < 0.15 else 8.0
    a, b, c = np.radians(rng.normal(0, [widest, widest * 0.7, widest * 0.7]))
    turn_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    turn_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    size = np.exp(rng.normal(0, 0.06) + rng.normal(0, 0.03, 3))
    flips = np.where(rng.random(3) < [0.5, 0.03, 0.03], -1.0, 1.0)
    matrix = turn_z @ turn_y @ turn_x @ np.diag(size * flips) * (SPACING_MM / STORED_MM)
    middle = (np.array(SHAPE) - 1) / 2 + rng.normal(0, 2.0, 3)
    return np.c_[matrix, centre - matrix @ middle], float(size.mean())


def transformed(volumes: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Volumes (C, X, Y, Z) sampled on an example's grid, zeros outside."""
    sizes = np.array(volumes.shape[1:])
    index = affine.copy()
    # From indices to the corners -1 and 1 of grid_sample, whose last axis is the first of ours.
    out = np.diag((np.array(SHAPE) - 1) / 2)
    matrix = np.c_[index[:, :3] @ out, index[:, :3] @ ((np.array(SHAPE) - 1) / 2) + index[:, 3]]
    matrix = matrix / ((sizes - 1) / 2)[:, None]
    matrix[:, 3] -= 1
    flipped = np.c_[matrix[::-1, 2::-1], matrix[::-1, 3]]
    theta = torch.from_numpy(np.ascontiguousarray(flipped, dtype=np.float32))[None]
    grid = F.affine_grid(theta, [1, len(volumes), *SHAPE], align_corners=True)
    return F.grid_sample(torch.from_numpy(volumes)[None], grid, align_corners=True)[0].numpy()


def acquired_scene(rng: np.random.Generator, image: np.ndarray, share: np.ndarray, depth: np.ndarray) -> Scene:
    """A simulated acquisition in a sampled pose."""
    if rng.random() < 0.2:  # a lesion beyond those that were simulated
        inside = np.clip(0.5 - depth.astype(np.float32) / 40, 0, 1)
        image = image * (1 - inside + inside * _infarct(rng, image.shape))
    volumes = np.stack(
        [image.astype(np.float32), share.astype(np.float32) / 255, depth.astype(np.float32) / 10 - DEEPEST_MM]
    )
    if rng.random() < 0.5:  # thicker slices
        width = int(rng.choice([1, 2, 2, 3]))
        volumes = F.avg_pool3d(torch.from_numpy(volumes)[None], (1, 1, width))[0]
        volumes = volumes.repeat_interleave(width, dim=3).numpy()
    affine, size = sample_pose(rng, (np.array(volumes.shape[1:]) - 1) / 2)
    values, measured, below = transformed(volumes, affine)
    return Scene(values, np.clip(measured, 0, 1), (below + DEEPEST_MM) / size)


def synthetic_scene(rng: np.random.Generator, fractions: np.ndarray, depth: np.ndarray) -> Scene:
    """Tissue maps in a sampled pose, with a random signal for each tissue."""
    volumes = np.concatenate([fractions.astype(np.float32) / 255, depth[None].astype(np.float32) / 10 - DEEPEST_MM])
    affine, size = sample_pose(rng, (np.array(volumes.shape[1:]) - 1) / 2)
    padded = np.concatenate([volumes, np.ones((1, *volumes.shape[1:]), np.float32)])
    *tissues, below, view = transformed(padded, affine)
    grey, white, csf, vitreous, soft, air = tissues
    bone = np.maximum(view - sum(tissues), 0)
    depth_mm = (below + DEEPEST_MM) / size
    texture = 1 + rng.uniform(0, 0.15) * smooth(rng, 12)
    brain = grey * rng.uniform(0.4, 1.1) + white * rng.uniform(0.4, 1.1)
    if rng.random() < 0.6:
        brain *= _infarct(rng)
    if rng.random() < 0.25:  # a map of diffusion: noise where there is no signal
        noise = rng.uniform(0.1, 0.6) * rng.standard_normal(SHAPE, dtype=np.float32) + rng.uniform(-0.2, 0.9)
        dark = (air + bone * rng.uniform(0.3, 1) + soft * rng.uniform(0, 1)) * noise
        image = brain * rng.uniform(0.9, 1.1) + csf * rng.uniform(2, 4) + vitreous * rng.uniform(2, 4) + dark
    else:
        bright = rng.uniform(0, 2.2, 3)
        image = brain + csf * bright[0] + vitreous * bright[1] + soft * bright[2] * rng.uniform(0, 1)
        image = image + bone * rng.uniform(0, 0.25) + air * (rng.uniform(0, 0.5) if rng.random() < 0.1 else 0)
    return Scene((image * texture).astype(np.float32) * view, view, depth_mm)


def _infarct(rng: np.random.Generator, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """A factor on the signal of the brain with one to three blurred ellipsoids, (X, Y, Z)."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    factor = np.ones(shape, np.float32)
    for _ in range(rng.integers(1, 4)):
        (a, b, c), radii = rng.uniform(-0.6, 0.6, 3), rng.uniform(0.06, 0.55, 3)
        squared = ((x - a) / radii[0]) ** 2 + ((y - b) / radii[1]) ** 2 + ((z - c) / radii[2]) ** 2
        inside = np.clip(2 - 2 * squared, 0, 1)
        factor *= 1 + inside * np.float32(np.exp(rng.uniform(np.log(0.1), np.log(8))) - 1)
    return factor


def analytic_scene(rng: np.random.Generator) -> Scene:
    """A head of ellipsoids with a folded border: brain with ventricles, dark skull, scalp, eyes and neck."""
    mm = [SPACING_MM * (np.arange(n, dtype=np.float32) - (n - 1) / 2) for n in SHAPE]
    turn = sample_pose(rng, np.zeros(3))[0][:, :3] * (STORED_MM / SPACING_MM)
    x, y, z = np.einsum("ij,jxyz->ixyz", turn, np.stack(np.meshgrid(*mm, indexing="ij")))
    half = rng.uniform([58, 72, 52], [74, 92, 72])
    shortest = float(half.min())
    wave = (
        rng.uniform(0, 3.5)
        * np.sin(x / rng.uniform(4, 9))
        * np.sin(y / rng.uniform(4, 9))
        * np.sin(z / rng.uniform(5, 9))
    )
    radius = np.sqrt((x / half[0]) ** 2 + (y / half[1]) ** 2 + (z / half[2]) ** 2)
    gradient = np.sqrt((x / half[0] ** 2) ** 2 + (y / half[1] ** 2) ** 2 + (z / half[2] ** 2) ** 2) / np.maximum(
        radius, 0.2
    )
    depth = (radius - 1) / np.maximum(gradient, 0.5 / shortest) + wave
    skull, scalp = rng.uniform(6, 12), rng.uniform(4, 10)
    brain = np.clip(0.5 - depth / SPACING_MM, 0, 1)
    image = np.float32(rng.uniform(0, 1.2)) * np.clip(0.5 - np.abs(depth - skull - scalp / 2) / 4 + scalp / 8, 0, 1)
    neck = ((x / 52) ** 2 + ((y + 10) / 62) ** 2 + ((z + 95) / 35) ** 2 < 1) & (depth > skull)
    image = np.where(neck, np.float32(rng.uniform(0, 1)), image)
    for side in (-32.0, 32.0):
        eye = ((x - side) ** 2 + (y - half[1] + 4) ** 2 + (z + 36) ** 2 < 12.0**2) & (depth > 1)
        image = np.where(eye, np.float32(rng.uniform(0, 1.5)), image)
    inner = np.float32(rng.uniform(0.8, 1.2)) * np.ones(SHAPE, np.float32) * (1 + 0.1 * smooth(rng, 8))
    inner = np.where(depth > -rng.uniform(4, 9), inner * np.float32(rng.uniform(0.7, 1.3)), inner)
    ventricle = (((np.abs(x) - 13) / 8) ** 2 + (y / 30) ** 2 + ((z - 8) / 12) ** 2) < 1
    inner = np.where(ventricle, np.float32(rng.uniform(0, 2.0)), inner)
    if rng.random() < 0.75:
        inner = inner * _infarct(rng)
    image = image * (1 - brain) + inner * brain
    return Scene(image.astype(np.float32), np.ones(SHAPE, np.float32), depth.astype(np.float32) + SURFACE_MM)


def example(rng: np.random.Generator, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Channels (2, X, Y, Z) and the brain's fraction (X, Y, Z) of a scene, its intensities and view sampled."""
    image, share = scene.image.copy(), scene.share.copy()
    view = _field_of_view(rng) * (scene.share > 0 if rng.random() < 0.5 else 1)
    level = float(np.percentile(np.abs(image[share > 0.5]), 90)) if (share > 0.5).any() else 1.0
    image /= max(level, 1e-6)
    if rng.random() < 0.7:
        image = np.sign(image) * np.abs(image) ** np.float32(np.exp(rng.uniform(-0.6, 0.5)))
    if rng.random() < 0.6:
        image = image * np.exp(np.float32(rng.uniform(0, 0.35)) * smooth(rng, int(rng.integers(3, 6))))
    stripped = False
    if rng.random() < 0.2:  # a tool removed the skull
        border = scene.depth_mm + np.float32(rng.uniform(0, 2)) * smooth(rng, 10)
        inside = np.clip(0.5 - (border - np.float32(rng.uniform(-1, 3.5))) / SPACING_MM, 0, 1)
        image, share, stripped = image * inside, share * inside, True
    if rng.random() < 0.45 and not (stripped and rng.random() < 0.6):
        noise = np.float32(np.exp(rng.uniform(np.log(0.01), np.log(0.35))))
        floor = np.sqrt(image**2 + np.float32(1.57) * noise**2 * view)
        averaged = noise * np.float32(rng.uniform(0.15, 0.7))
        image = np.where(image < 0, image, floor) + averaged * rng.standard_normal(SHAPE, dtype=np.float32) * view
        share = np.where(view > 0, np.float32(1), share) if rng.random() < 0.8 else share
    elif rng.random() < 0.2:  # air set to zero below a threshold
        share = share * (np.abs(image) > rng.uniform(0.03, 0.3))
    if rng.random() < 0.2:  # an earlier interpolation mixed measured voxels with zeros
        share = np.minimum(share * np.float32(rng.uniform(1, 2.5)), 1)
    image, share = image * view * (share > 0), share * view
    target = np.clip(0.5 - (scene.depth_mm - SURFACE_MM) / SPACING_MM, 0, 1) * view
    return normalised(image.astype(np.float32), np.clip(share, 0, 1).astype(np.float32)), target.astype(np.float32)


def _field_of_view(rng: np.random.Generator) -> np.ndarray:
    """1 inside a sampled field of view, (X, Y, Z): often a slab, sometimes cropped at a side."""
    view = np.ones(SHAPE, np.float32)
    if rng.random() < 0.25:
        low = int(rng.integers(0, SHAPE[2] - 10))
        view[:, :, :low], view[:, :, low + int(rng.integers(10, SHAPE[2])) :] = 0, 0
    for axis in (0, 1):
        if rng.random() < 0.1:
            moved = np.moveaxis(view, axis, 0)
            moved[: int(rng.integers(0, 14))] = 0
            if rng.random() < 0.5:
                moved[-int(rng.integers(1, 14)) :] = 0
    return view
