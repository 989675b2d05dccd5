"""The focused blur: every voxel of the output is an average whose width is that voxel's own.

    blurred(x) = Σ_y G_{sigma(x)}(x - y) image(y)

Computed directly this is one kernel of thousands of voxels for every voxel. Here the image is blurred by the few
Gaussians of a ladder, and each voxel mixes the two next to its own sigma (``sigma_levels`` tells how they are chosen).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from adumbra.blur.array_kinds import T, as_tensor, broadcasts, like
from adumbra.blur.sigma_levels import SigmaLevels, Spacing, averaging, radius, sigma_levels
from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected

Box = list[slice]
BLOCK = 16  # Rows of a matrix that are multiplied at once.
WIDEST = 32  # Voxels along the finest axis that a sigma may be; more are a mistake of units, and a table of gigabytes.


class _Blur(NamedTuple):
    """A Gaussian on one grid: for X, Y and Z the symmetric matrix that averages along it, and its reach in voxels."""

    matrices: tuple[Tensor, Tensor, Tensor]
    radii: tuple[int, int, int]


def focused_blur(image: T, sigma_mm: T | float, *, spacing_mm: Sequence[float], tolerance: float = 0.01) -> T:
    """The image under a Gaussian whose standard deviation is that of the voxel that is looked at.

    A sigma of 0 gives the image bit for bit; every output lies within the image's values (to rounding), for it is an
    average; beyond its borders the image is mirrored, so that a constant stays constant. Computed in float32 at least,
    outside autocast; where the user lets matrix products be less precise (``torch.set_float32_matmul_precision``), so
    are these. It can be differentiated once by the image and by a map of sigma, and keeps no blurred image for that;
    the derivative by sigma is the mixture's own, within some 10 % of the exact blur's (relative L2; about 5 % at half
    the tolerance).

    Args:
        image: (..., X, Y, Z), any float dtype, without NaN or infinity.
        sigma_mm: A map that broadcasts to the image, such as (X, Y, Z), or (B, 1, X, Y, Z) for a batch. A number blurs
            all voxels by that very Gaussian, as ``scipy.ndimage.gaussian_filter`` does with its defaults.
        spacing_mm: Of the voxels along X, Y and Z.
        tolerance: The largest relative L2 error of blurred white noise, at the worst sigma; images that are smoother
            have less. Smaller takes longer: the count of Gaussians goes with its inverse root.

    Returns:
        As the image: kind, shape, dtype, device.

    Raises:
        GridMismatch: The map does not broadcast to the image.
        ImplausibleValues: NaN, infinity or no floats in the image; in sigma NaN, less than 0, or more than 32 voxels.
        InputRejected: A spacing that is not positive, or a tolerance outside 0.001 to 0.05.
    """
    spacing = _checked_spacing(spacing_mm)
    if not 1e-3 <= tolerance <= 0.05:
        raise InputRejected(
            "tolerance", expected="from 0.001 to 0.05", found=f"{tolerance}", do="give one such as 0.01"
        )
    data = as_tensor(image)
    sigma = as_tensor(sigma_mm)
    _check(data, sigma, widest_mm=WIDEST * min(spacing))
    exact = data.to(torch.promote_types(data.dtype, torch.float32))
    if isinstance(sigma_mm, (Tensor, np.ndarray)):
        blurred = _focused(exact, sigma.to(exact), spacing, tolerance)
    else:
        whole = [slice(0, n) for n in exact.shape[-3:]]
        blurred = _applied(_blur(exact, float(sigma_mm), spacing), exact, whole, whole)
    return like(blurred.to(data.dtype), image)


def _focused(image: Tensor, sigma_mm: Tensor, spacing_mm: Spacing, tolerance: float) -> Tensor:
    """The image blurred voxel by voxel; both of one dtype and on one device."""
    max_mm = float(sigma_mm.detach().max())
    # In octaves, so that a ladder is built once for nearly all maps.
    octaves = max(0, math.ceil(math.log2(max(max_mm, 1e-300) / max(spacing_mm))))
    rungs = sigma_levels(spacing_mm, max(spacing_mm) * 2.0**octaves, tolerance)
    height = _height(sigma_mm, rungs).expand(*sigma_mm.shape[:-3], *image.shape[-3:])
    needed = rungs.levels_mm[1 : math.ceil(float(height.detach().max())) + 1]
    return _Mixture.apply(image, height, [_blur(image, rung, spacing_mm) for rung in needed])


def _height(sigma_mm: Tensor, rungs: SigmaLevels) -> Tensor:
    """Where on the ladder each voxel's sigma is; at least three axes."""
    table = torch.from_numpy(rungs.heights.copy()).to(sigma_mm)
    row = sigma_mm.reshape((1,) * max(0, 3 - sigma_mm.ndim) + tuple(sigma_mm.shape)) / rungs.step_mm
    below = row.detach().long().clamp_(max=len(table) - 2)
    return table.take(below) + (row - below) * table.diff().take(below)


class _Mixture(torch.autograd.Function):
    """Σ_k share_k(height) · blur_k(image), where blur 0 is the image itself.

    The backward pass blurs again, so that none of a dozen blurred images is kept in memory.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, height: Tensor, blurs: list[_Blur]) -> Tensor:
        """The mixture, of the image's shape; ``height`` broadcasts to it and has its last three axes."""
        ctx.save_for_backward(image, height)
        ctx.blurs = blurs
        mixed = image.clone()
        for below, (blur, box, halo) in enumerate(_boxed(height, blurs)):
            # A voxel above this rung becomes it wholly, and what it was before is gone.
            share = (_inside(height, box) - below).clamp_(0.0, 1.0)
            _inside(mixed, box).lerp_(_applied(blur, _inside(image, halo), halo, box), share)
        # Even x + 0 · (y - x) is not always x: a zero may lose its sign.
        return torch.where(height == 0, image, mixed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """By the image, every blur turned round; by the height, one blurred image less the one below it."""
        image, height = ctx.saved_tensors
        by_image = gradient * _share(height, 0) if ctx.needs_input_grad[0] else None
        unblurred = (gradient * image).sum_to_size(height.shape)
        by_height = unblurred * _slope(height, 0) if ctx.needs_input_grad[1] else None
        for level, (blur, box, halo) in enumerate(_boxed(height, ctx.blurs), start=1):
            here, collateral_flow = _inside(height, box), _inside(gradient, box)
            if by_image is not None:
                # From the box to its halo: the matrices are symmetric.
                _inside(by_image, halo).add_(_applied(blur, collateral_flow * _share(here, level), box, halo))
            if by_height is not None:
                along = collateral_flow * _applied(blur, _inside(image, halo), halo, box)
                _inside(by_height, box).add_(along.sum_to_size(here.shape) * _slope(here, level))
        return by_image, by_height, None


def _share(height: Tensor, level: int) -> Tensor:
    """Of one rung in each voxel's mixture: 1 at the rung, 0 from its neighbours on."""
    return (height - level).abs_().neg_().add_(1.0).clamp_(min=0.0)


def _slope(height: Tensor, level: int) -> Tensor:
    """Of the share by the height: 1 below the rung and -1 above it; at a rung, as just below it."""
    above = height - level
    return ((above > -1) & (above <= 0)).to(height.dtype) - ((above > 0) & (above <= 1)).to(height.dtype)


def _inside(data: Tensor, box: Box) -> Tensor:
    """The part of (..., X, Y, Z) in a box: a view."""
    x, y, z = box
    return data[..., x, y, z]


def _boxed(height: Tensor, blurs: list[_Blur]) -> Iterator[tuple[_Blur, Box, Box]]:
    """Each rung from 1 on, the box of the voxels above the rung before it, and what these are blurred from."""
    peaks = [height.amax(dim=[a for a in range(height.ndim) if a != height.ndim + axis]) for axis in (-3, -2, -1)]
    for below, blur in enumerate(blurs):
        planes = [(peak > below).nonzero().flatten().tolist() for peak in peaks]
        box = [slice(inside[0], inside[-1] + 1) for inside in planes]
        reached = [(b.start - r, b.stop + r, len(m)) for b, r, m in zip(box, blur.radii, blur.matrices, strict=True)]
        yield blur, box, [slice(max(0, start), min(stop, length)) for start, stop, length in reached]


def _applied(blur: _Blur, image: Tensor, origin: Box, target: Box) -> Tensor:
    """The voxels of the target box, blurred from the image (..., X, Y, Z) inside the box of origin."""
    x, y, z = blur.matrices
    leading, (_, *plane) = image.shape[:-3], image.shape[-3:]
    with torch.autocast(image.device.type, enabled=False):
        along_x = _banded(x, image.flatten(start_dim=-2), origin[0], target[0], blur.radii[0])
        along_y = _banded(y, along_x.reshape(*leading, -1, *plane), origin[1], target[1], blur.radii[1])
        return along_y @ z[origin[2], target[2]]


def _banded(matrix: Tensor, columns: Tensor, origin: slice, target: slice, reach: int) -> Tensor:
    """The target rows of a banded matrix times columns (..., origin, M), in blocks of rows that leave the zeros out.

    Dense products of blocks are several times faster here than a convolution or the whole matrix.
    """
    blocks = []
    for start in range(target.start, target.stop, BLOCK):
        stop = min(start + BLOCK, target.stop)
        low, high = max(origin.start, start - reach), min(origin.stop, stop + reach)
        blocks.append(matrix[start:stop, low:high] @ columns[..., low - origin.start : high - origin.start, :])
    return torch.cat(blocks, dim=-2)


def _blur(image: Tensor, sigma_mm: float, spacing_mm: Spacing) -> _Blur:
    """The Gaussian on the image's grid, dtype and device."""
    pairs = [(n, sigma_mm / h) for n, h in zip(image.shape[-3:], spacing_mm, strict=True)]
    x, y, z = (torch.from_numpy(averaging(n, s).copy()).to(image) for n, s in pairs)
    return _Blur((x, y, z), (radius(pairs[0][1]), radius(pairs[1][1]), radius(pairs[2][1])))


def _checked_spacing(spacing_mm: Sequence[float]) -> Spacing:
    """Three lengths."""
    spacing = tuple(float(h) for h in spacing_mm)
    if len(spacing) != 3 or not all(math.isfinite(h) and h > 0 for h in spacing):
        raise InputRejected(
            "spacing_mm",
            expected="three lengths above 0 mm",
            found=f"{spacing}",
            do="give the size of a voxel along X, Y and Z",
        )
    return spacing[0], spacing[1], spacing[2]


def _check(image: Tensor, sigma_mm: Tensor, *, widest_mm: float) -> None:
    """Refuses what has no blur: a NaN would spread along rows of voxels, far beyond any Gaussian."""
    if image.ndim < 3 or not image.numel() or not image.is_floating_point() or not bool(image.isfinite().all()):
        raise ImplausibleValues(
            "image",
            expected="finite floats, (..., X, Y, Z)",
            found=f"shape {tuple(image.shape)} of {image.dtype}, or NaN or infinity in it",
            do="convert integers to floats, and fill holes before blurring",
        )
    if not broadcasts(sigma_mm.shape, image.shape):
        raise GridMismatch(
            "sigma_mm",
            expected=f"a shape that broadcasts to the image's {tuple(image.shape)}",
            found=f"{tuple(sigma_mm.shape)}",
            do="give (X, Y, Z), or (B, 1, X, Y, Z) for a batch",
        )
    if not bool(((sigma_mm >= 0) & (sigma_mm <= widest_mm)).all()):
        raise ImplausibleValues(
            "sigma_mm",
            expected=f"from 0 to {widest_mm:g} mm, {WIDEST} voxels of the finest axis",
            found=f"NaN or other numbers, {float(sigma_mm.detach().min()):g} to {float(sigma_mm.detach().max()):g}",
            do="check its unit; adumbra.blur.sigma_maps.focus makes such a map of uncertainty",
        )
