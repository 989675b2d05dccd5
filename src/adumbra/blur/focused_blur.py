"""The focused blur: a Gaussian filter whose standard deviation is given for each voxel.

    blurred(x) = Σ_y G_{sigma(x)}(x - y) image(y)

The direct computation needs a kernel of thousands of voxels for every voxel. Here the image is blurred by the Gaussians
of a few sigma levels, and each voxel mixes the two levels next to its own sigma. ``sigma_levels`` describes how the
levels are chosen.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from adumbra.blur.array_kinds import T, as_tensor, broadcasts, same_kind
from adumbra.blur.sigma_levels import SigmaLevels, SpacingMm, blur_matrix, kernel_radius, sigma_levels
from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected

Box = list[slice]
BLOCK = 16  # Rows of a matrix that are multiplied at once.
# Largest sigma, in voxels of the finest axis. A larger one is a mistake of units, and would need gigabytes of tables.
WIDEST = 32


class _Blur(NamedTuple):
    """A Gaussian on one grid.

    Attributes:
        matrices: For each of X, Y and Z the symmetric matrix that blurs along this axis.
        radii: Kernel radius along each axis, in voxels.
    """

    matrices: tuple[Tensor, Tensor, Tensor]
    radii: tuple[int, int, int]


def focused_blur(image: T, sigma_mm: T | float, *, spacing_mm: Sequence[float], tolerance: float = 0.01) -> T:
    """The image, blurred in each voxel by a Gaussian of this voxel's standard deviation.

    Where sigma is 0 the image is returned bit for bit. Every output is a weighted average, so that it lies within the
    range of the image up to rounding. Beyond its borders the image is mirrored, so that a constant stays constant.

    The computation is in float32 at least and outside autocast. Matrix products are as precise as
    ``torch.set_float32_matmul_precision`` allows.

    The blur can be differentiated once, with respect to the image and to a map of sigma; no blurred image is stored for
    this. The derivative with respect to sigma is that of the mixture. It differs from that of the exact blur by about
    10 % (relative L2), and by about 5 % at half the tolerance.

    Args:
        image: (..., X, Y, Z), any float dtype, without NaN or infinity.
        sigma_mm: A map that broadcasts to the image, such as (X, Y, Z), or (B, 1, X, Y, Z) for a batch. A number blurs
            all voxels by exactly this Gaussian, as ``scipy.ndimage.gaussian_filter`` does with its defaults.
        spacing_mm: Size of a voxel along X, Y and Z.
        tolerance: Largest relative L2 error of blurred white noise, at the worst sigma. The error of smoother images is
            smaller. The number of Gaussians, and so the time, is proportional to the inverse root of the tolerance.

    Returns:
        An array or tensor of the image's shape, dtype and device.

    Raises:
        GridMismatch: The map does not broadcast to the image.
        ImplausibleValues: The image holds NaN, infinity or integers, or sigma holds NaN, a number below 0 or one above
            32 voxels.
        InputRejected: A spacing is not positive, or the tolerance is outside 0.001 to 0.05.
    """
    spacing = _require_spacing(spacing_mm)
    if not 1e-3 <= tolerance <= 0.05:
        raise InputRejected(
            "tolerance", expected="from 0.001 to 0.05", found=f"{tolerance}", do="give one such as 0.01"
        )
    data = as_tensor(image)
    sigma = as_tensor(sigma_mm)
    _require_blurrable(data, sigma, widest_mm=WIDEST * min(spacing))
    exact = data.to(torch.promote_types(data.dtype, torch.float32))
    if isinstance(sigma_mm, (Tensor, np.ndarray)):
        blurred = _blur_by_map(exact, sigma.to(exact), spacing, tolerance)
    else:
        whole = [slice(0, n) for n in exact.shape[-3:]]
        blurred = _apply(_gaussian(exact, float(sigma_mm), spacing), exact, whole, whole)
    return same_kind(blurred.to(data.dtype), image)


def _blur_by_map(image: Tensor, sigma_mm: Tensor, spacing_mm: SpacingMm, tolerance: float) -> Tensor:
    """The image blurred voxel by voxel; image and map have one dtype and one device."""
    max_mm = float(sigma_mm.detach().max())
    # The highest level is rounded up to an octave, so that nearly all maps share one cached set of levels.
    octaves = max(0, math.ceil(math.log2(max(max_mm, 1e-300) / max(spacing_mm))))
    levels = sigma_levels(spacing_mm, max(spacing_mm) * 2.0**octaves, tolerance)
    fractional = _fractional_level(sigma_mm, levels).expand(*sigma_mm.shape[:-3], *image.shape[-3:])
    needed = levels.levels_mm[1 : math.ceil(float(fractional.detach().max())) + 1]
    return _Mixture.apply(image, fractional, [_gaussian(image, level_mm, spacing_mm) for level_mm in needed])


def _fractional_level(sigma_mm: Tensor, levels: SigmaLevels) -> Tensor:
    """The fractional level of each voxel's sigma, with at least three axes."""
    table = torch.from_numpy(levels.fractional_levels.copy()).to(sigma_mm)
    row = sigma_mm.reshape((1,) * max(0, 3 - sigma_mm.ndim) + tuple(sigma_mm.shape)) / levels.step_mm
    below = row.detach().long().clamp_(max=len(table) - 2)
    return table.take(below) + (row - below) * table.diff().take(below)


class _Mixture(torch.autograd.Function):
    """Σ_k share_k(f) · blur_k(image), with the fractional level f of each voxel; blur 0 is the image itself.

    The backward pass computes the blurs again, so that none of a dozen blurred images is held in memory.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, fractional: Tensor, blurs: list[_Blur]) -> Tensor:
        """The mixture, of the image's shape.

        Args:
            ctx: State for the backward pass. Torch creates its class at run time, so that it has no static type.
            image: (..., X, Y, Z).
            fractional: Fractional levels, which broadcast to the image and have its last three axes.
            blurs: The Gaussians of the levels from 1 on.
        """
        ctx.save_for_backward(image, fractional)
        ctx.blurs = blurs
        mixed = image.clone()
        for below, (blur, box, halo) in enumerate(_boxes(fractional, blurs)):
            # Above this level the share is 1, which replaces what the lower levels contributed.
            share = (_crop(fractional, box) - below).clamp_(0.0, 1.0)
            _crop(mixed, box).lerp_(_apply(blur, _crop(image, halo), halo, box), share)
        # x + 0 · (y - x) is not always x: a zero may lose its sign.
        return torch.where(fractional == 0, image, mixed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Gradients of the image and of the fractional levels.

        The image's gradient is the sum of the transposed blurs of the incoming gradient. That of a fractional level is
        the difference between the images blurred at the two adjacent levels, times the incoming gradient.
        """
        image, fractional = ctx.saved_tensors
        image_gradient = gradient * _share(fractional, 0) if ctx.needs_input_grad[0] else None
        unblurred = (gradient * image).sum_to_size(fractional.shape)
        level_gradient = unblurred * _share_slope(fractional, 0) if ctx.needs_input_grad[1] else None
        for level, (blur, box, halo) in enumerate(_boxes(fractional, ctx.blurs), start=1):
            position, incoming = _crop(fractional, box), _crop(gradient, box)
            if image_gradient is not None:
                # The matrices are symmetric, so the transposed blur is the blur from the box to its halo.
                _crop(image_gradient, halo).add_(_apply(blur, incoming * _share(position, level), box, halo))
            if level_gradient is not None:
                product = incoming * _apply(blur, _crop(image, halo), halo, box)
                _crop(level_gradient, box).add_(product.sum_to_size(position.shape) * _share_slope(position, level))
        return image_gradient, level_gradient, None


def _share(fractional: Tensor, level: int) -> Tensor:
    """Share of a level in each voxel's mixture: 1 at the level, 0 from the adjacent levels on."""
    return (fractional - level).abs_().neg_().add_(1.0).clamp_(min=0.0)


def _share_slope(fractional: Tensor, level: int) -> Tensor:
    """Derivative of the share by the fractional level: 1 up to the level, and -1 above it."""
    above = fractional - level
    return ((above > -1) & (above <= 0)).to(fractional.dtype) - ((above > 0) & (above <= 1)).to(fractional.dtype)


def _crop(data: Tensor, box: Box) -> Tensor:
    """The part of (..., X, Y, Z) in a box, as a view."""
    x, y, z = box
    return data[..., x, y, z]


def _boxes(fractional: Tensor, blurs: list[_Blur]) -> Iterator[tuple[_Blur, Box, Box]]:
    """For each level from 1 on, its blur, the box of the voxels above the level below, and the box with its halo.

    The halo is as wide as the kernel's radius.
    """
    peaks = [
        fractional.amax(dim=[a for a in range(fractional.ndim) if a != fractional.ndim + axis]) for axis in (-3, -2, -1)
    ]
    for below, blur in enumerate(blurs):
        planes = [(peak > below).nonzero().flatten().tolist() for peak in peaks]
        box = [slice(inside[0], inside[-1] + 1) for inside in planes]
        reached = [(b.start - r, b.stop + r, len(m)) for b, r, m in zip(box, blur.radii, blur.matrices, strict=True)]
        yield blur, box, [slice(max(0, start), min(stop, length)) for start, stop, length in reached]


def _apply(blur: _Blur, image: Tensor, origin: Box, target: Box) -> Tensor:
    """The voxels of the target box, blurred from the image (..., X, Y, Z) of the origin box."""
    x, y, z = blur.matrices
    leading, (_, *plane) = image.shape[:-3], image.shape[-3:]
    with torch.autocast(image.device.type, enabled=False):
        along_x = _multiply_banded(x, image.flatten(start_dim=-2), origin[0], target[0], blur.radii[0])
        along_y = _multiply_banded(y, along_x.reshape(*leading, -1, *plane), origin[1], target[1], blur.radii[1])
        return along_y @ z[origin[2], target[2]]


def _multiply_banded(matrix: Tensor, columns: Tensor, origin: slice, target: slice, reach: int) -> Tensor:
    """The target rows of a banded matrix times columns (..., origin, M), in blocks of rows that omit the zeros.

    Dense products of blocks are several times faster here than a convolution or a product with the whole matrix.
    """
    blocks = []
    for start in range(target.start, target.stop, BLOCK):
        stop = min(start + BLOCK, target.stop)
        low, high = max(origin.start, start - reach), min(origin.stop, stop + reach)
        blocks.append(matrix[start:stop, low:high] @ columns[..., low - origin.start : high - origin.start, :])
    return torch.cat(blocks, dim=-2)


def _gaussian(image: Tensor, sigma_mm: float, spacing_mm: SpacingMm) -> _Blur:
    """The Gaussian of a standard deviation, on the image's grid, dtype and device."""
    pairs = [(n, sigma_mm / h) for n, h in zip(image.shape[-3:], spacing_mm, strict=True)]
    x, y, z = (torch.from_numpy(blur_matrix(n, s).copy()).to(image) for n, s in pairs)
    return _Blur((x, y, z), (kernel_radius(pairs[0][1]), kernel_radius(pairs[1][1]), kernel_radius(pairs[2][1])))


def _require_spacing(spacing_mm: Sequence[float]) -> SpacingMm:
    """The spacing as three floats; anything else is refused."""
    spacing = tuple(float(h) for h in spacing_mm)
    if len(spacing) != 3 or not all(math.isfinite(h) and h > 0 for h in spacing):
        raise InputRejected(
            "spacing_mm",
            expected="three lengths above 0 mm",
            found=f"{spacing}",
            do="give the size of a voxel along X, Y and Z",
        )
    return spacing[0], spacing[1], spacing[2]


def _require_blurrable(image: Tensor, sigma_mm: Tensor, *, widest_mm: float) -> None:
    """Refuses images and sigmas without a blur. A NaN would spread along whole rows, far beyond any Gaussian."""
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
            do="check its unit; adumbra.blur.sigma_maps.sigma_from_uncertainty computes such a map from uncertainty",
        )
