"""The fine levels of a decoder computed at chosen voxels of a window only, for many draws at once.

Where the chance lies at the deepest levels, a draw changes what these say and nothing before them. They are computed on
the whole window, which costs little; of the fine levels only what the chosen voxels see: each convolution gathers its
27 neighbours and is one product of matrices. Normalisation would need the whole window. Its means and variances are
those of the window without chance, and become part of the convolution before it; in the first fine block, where nearly
all of a window is computed, they are changed by as much as those of the computed voxels are. That is the one
approximation. Without chance the chosen voxels have the values of the whole window, but for rounding.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from adumbra.networks.blocks import SLOPE, ConditionedNorm

Features = tuple[Tensor, ...]
Masks = tuple[Tensor, ...]
DEEP = 1  # Steps up from the bottom that are computed whole.
_EPSILON = 1e-5  # Of batch_norm.
_AT_ONCE = 2**20  # Numbers that are gathered for one product.
_AROUND = np.indices((3, 3, 3)).reshape(3, 27).T - 1  # In the order of a convolution's weight.


@dataclass(frozen=True, eq=False)
class Folded:
    """A convolution with the normalisation that follows it, as a matrix (C_out, 27 · C_in)."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class CachedWindow:
    """A window without chance, made ready for draws at some of its voxels.

    Attributes:
        features: The encoder's, full resolution first.
        blocks: Both convolutions of each fine block, with the normalisation of this window, deepest first.
        logits: Without chance, (1, T, X, Y, Z).
    """

    features: Features
    blocks: tuple[tuple[Folded, Folded], ...]
    logits: Tensor


@dataclass(frozen=True, eq=False)
class Level:
    """Which voxels of a level are computed, and where each finds what it needs; rows are voxels.

    Attributes:
        origin: (N,), for each voxel of the input eight times the row of the level below that it lies in, and which of
            that one's eight children it is.
        here: (N,), the flat index of each in the level, for the encoder's features.
        first: (M, 27), rows of the input that each voxel of the first convolution sees; N is a row of zeros.
        second: (K, 27), the same for the second convolution; M is a row of zeros.
        shortcut: (K,), the row of the input of each.
    """

    origin: Tensor
    here: Tensor
    first: Tensor
    second: Tensor
    shortcut: Tensor


Moments = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class SparseSites:
    """The chosen voxels of a window.

    Attributes:
        levels: The fine ones, deepest first; the last makes the chosen voxels, in C order.
        reference_moments: Mean and variance of the computed voxels without chance, after each convolution of the first fine block.
    """

    levels: tuple[Level, ...]
    reference_moments: tuple[Moments, Moments]


def ready(decoder: Any, features: Features) -> CachedWindow:
    """One pass through the decoder without chance, remembering how each fine block was normalised."""
    x = deep(decoder, features, None)
    folded = []
    for step in range(DEEP, len(decoder.blocks)):
        x = decoder.up[step](x) + features[-2 - step]
        block = decoder.blocks[step]
        y, first = _normalised(block.conv1(x), block.conv1.weight, block.norm1)
        y, second = _normalised(block.conv2(F.leaky_relu(y, SLOPE)), block.conv2.weight, block.norm2)
        folded.append((first, second))
        x = F.leaky_relu(y + x, SLOPE)
    return CachedWindow(features, tuple(folded), decoder.head(x))


def _normalised(x: Tensor, weight: Tensor, norm: ConditionedNorm) -> tuple[Tensor, Folded]:
    """A window normalised as ``ConditionedNorm`` does, and the convolution that does both at once."""
    y, mean, scale = torch.native_batch_norm(x, norm.gain, norm.shift, None, None, True, 0.0, _EPSILON)
    gain = norm.gain * scale
    matrix = (weight * gain.view(-1, 1, 1, 1, 1)).flatten(2).transpose(1, 2).flatten(1)
    return y, Folded(matrix.to(x.dtype).contiguous(), (norm.shift - mean * gain).to(x.dtype))


def deep(decoder: Any, features: Features, kept: Masks | None) -> Tensor:
    """What the deepest levels give, (draws, C, X, Y, Z) for masks (draws, C); they are computed on the whole window."""
    masks = kept or (None,) * len(decoder.dropouts)
    x = decoder.dropouts[1](decoder.bottom(decoder.dropouts[0](features[-1], masks[0])), masks[1])
    for step in range(DEEP):
        x = decoder.up[step](x) + features[-2 - step]
        x = decoder.dropouts[2 + step](decoder.blocks[step](x), masks[2 + step])
    return x


def sites(decoder: Any, window: CachedWindow, wanted: np.ndarray) -> SparseSites:
    """What must be computed for the wanted voxels of a window, (X, Y, Z)."""
    device = window.logits.device
    levels = tuple(_on(level, device) for level in needed(wanted, len(window.blocks)))
    moments: list[Moments] = []
    x = deep(decoder, window.features, None).flatten(2).transpose(1, 2)
    _block(decoder, DEEP, x, window, levels[0], moments)
    return SparseSites(levels, (moments[0], moments[1]))


def needed(wanted: np.ndarray, levels: int) -> tuple[Level, ...]:
    """The voxels of each fine level that the wanted ones see; sides are multiples of 2 ** levels."""
    found: list[Level] = []
    made: np.ndarray = wanted
    for _ in range(levels):
        middle = _with_rim(made)
        given = _with_rim(middle)
        x, y, z = given.shape
        below = np.asarray(given.reshape(x // 2, 2, y // 2, 2, z // 2, 2).any(axis=(1, 3, 5)))
        found.append(_level(given, middle, made, below))
        made = below
    whole = torch.from_numpy(np.flatnonzero(made.ravel()))  # the level below the fine ones is there whole
    last = found[-1]
    found[-1] = replace(last, origin=8 * whole[last.origin // 8] + last.origin % 8)
    return tuple(found[::-1])


def _on(level: Level, device: torch.device) -> Level:
    return Level(**{field.name: getattr(level, field.name).to(device) for field in fields(level)})


def _with_rim(chosen: np.ndarray) -> np.ndarray:
    """And all that touches it: what a convolution sees of the window."""
    return np.asarray(ndimage.maximum_filter(chosen, size=3, mode="constant"))


def _level(given: np.ndarray, middle: np.ndarray, made: np.ndarray, below: np.ndarray) -> Level:
    voxels = np.argwhere(given)
    octants = (voxels % 2) @ np.array([4, 2, 1])
    parents = _rows(below)[tuple((voxels // 2).T)]
    tables = {
        "origin": 8 * parents + octants, "here": np.flatnonzero(given.ravel()),
        "first": _neighbours(given, middle), "second": _neighbours(middle, made),
        "shortcut": _rows(given)[made],
    }  # fmt: skip
    return Level(**{name: torch.from_numpy(np.ascontiguousarray(t, dtype=np.int64)) for name, t in tables.items()})


def _rows(chosen: np.ndarray) -> np.ndarray:
    """The row of each chosen voxel; of the others, the row of zeros that follows the last."""
    rows = np.full(chosen.shape, np.count_nonzero(chosen), dtype=np.int64)
    rows[chosen] = np.arange(rows.max() if chosen.any() else 0)
    return rows


def _neighbours(given: np.ndarray, made: np.ndarray) -> np.ndarray:
    """(count of made, 27) rows of given; beyond the window lie zeros."""
    rows = np.pad(_rows(given), 1, constant_values=np.count_nonzero(given))
    voxels = np.argwhere(made)[:, None, :] + 1 + _AROUND[None]
    found: np.ndarray = rows[voxels[..., 0], voxels[..., 1], voxels[..., 2]]
    return found


def at(decoder: Any, window: CachedWindow, deep_features: Tensor, where: SparseSites) -> Tensor:
    """Logits of the chosen voxels, (draws, T, N), from the draws' deep features."""
    x = deep_features.flatten(2).transpose(1, 2)
    for step, level in enumerate(where.levels, start=DEEP):
        x = _block(decoder, step, x, window, level, list(where.reference_moments) if step == DEEP else None)
    head = decoder.head
    logits: Tensor = F.linear(x, head.weight.flatten(1), head.bias).transpose(1, 2)
    return logits


def _block(
    decoder: Any, step: int, x: Tensor, window: CachedWindow, level: Level, moments: list[Moments] | None
) -> Tensor:
    """One fine block. Moments, where given, are what its normalisations start from; an empty list takes them down."""
    block, folded = decoder.blocks[step], window.blocks[step - DEEP]
    skip = window.features[-2 - step][0].flatten(1).index_select(1, level.here).T
    x = upsample(x, decoder.up[step].weight, level) + skip
    y, taken = x, moments is not None and not moments
    for number, (rows, norm) in enumerate(((level.first, block.norm1), (level.second, block.norm2))):
        y = _product(F.leaky_relu(y, SLOPE) if number else y, rows, folded[number])
        if moments is not None and taken:
            moments.append(_moments(y))
        elif moments is not None:
            y = renormalise(y, norm, moments[number])
    return F.leaky_relu(y + x.index_select(1, level.shortcut), SLOPE)


def _moments(y: Tensor) -> Moments:
    """Mean and variance over rows, (draws, 1, C), float32."""
    variance, mean = torch.var_mean(y.float(), dim=1, keepdim=True, correction=0)
    return mean, variance


def renormalise(y: Tensor, norm: ConditionedNorm, reference_moments: Moments) -> Tensor:
    """Rows that were normalised by the window without chance, as each draw's own window would have done it."""
    (mean, variance), (mean_still, variance_still) = _moments(y), reference_moments
    scale = torch.sqrt((variance_still + _EPSILON) / (variance + _EPSILON))
    centre = norm.shift + mean - mean_still
    return torch.addcmul((norm.shift - centre * scale).to(y.dtype), y, scale.to(y.dtype))


def upsample(x: Tensor, weight: Tensor, level: Level) -> Tensor:
    """Each voxel from the one that it lies in: a convolution transposed, of side and stride two."""
    children = x @ weight.permute(0, 2, 3, 4, 1).flatten(1)
    return children.view(len(x), -1, weight.shape[1]).index_select(1, level.origin)


def _product(x: Tensor, neighbours: Tensor, by: Folded) -> Tensor:
    """(draws, N, C_out) of (draws, rows, C_in), some voxels at a time."""
    draws, _, channels = x.shape
    x, matrix = F.pad(x, (0, 0, 0, 1)), by.weight
    step = max(1, _AT_ONCE // (draws * 27 * channels))
    parts = []
    for some in neighbours.split(step):
        seen = x.index_select(1, some.flatten()).view(draws * len(some), 27 * channels)
        parts.append(F.linear(seen, matrix, by.bias).view(draws, len(some), len(matrix)))
    return torch.cat(parts, dim=1)
