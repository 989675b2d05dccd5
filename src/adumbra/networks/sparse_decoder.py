"""The fine levels of a decoder, computed at selected voxels of a window only, for several posterior draws at once.

Dropout that lies at the deepest levels changes what these levels give, and nothing before them. The deepest levels are
computed for the whole window, which is cheap. Of the fine levels only the receptive field of the selected voxels is
computed: each 3×3×3 convolution gathers its 27 neighbours and becomes one matrix product.

Instance normalisation would need the whole window. Its statistics are those of the deterministic window, folded into
the preceding convolution. In the first fine block, where nearly the whole window is computed anyway, they are corrected
by the change of the moments over the computed voxels. This is the only approximation. Without dropout the selected
voxels have the values of the whole window, up to rounding.

Notation
    R   draws            C   channels            T   targets
    N   voxels of the upsampled input of a fine block that are computed (rows of a matrix)
    M   voxels of the output of its first convolution, M ⊆ N
    K   voxels of the output of its second convolution, K ⊆ M; those of the next level's parents
    μ, σ²   mean and variance over voxels: of the deterministic window (reference) or of a draw
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from adumbra.networks.blocks import SLOPE, ConditionedNorm
from adumbra.networks.decoder import Decoder, DropoutMasks, Features

DENSE_STEPS = 1
"""Steps up from the bottom that are computed for the whole window."""
_EPSILON = 1e-5  # Of batch_norm.
_GATHERED_AT_ONCE = 2**20  # Numbers that are gathered for one matrix product.
_NEIGHBOURHOOD = np.indices((3, 3, 3)).reshape(3, 27).T - 1  # In the order of a convolution's weight.

Moments = tuple[Tensor, Tensor]
"""Mean and variance over voxels, each (R, 1, C), float32."""


@dataclass(frozen=True, eq=False)
class FoldedConvolution:
    """A convolution together with the normalisation that follows it.

    Attributes:
        weight: (C_out, 27 · C_in).
        bias: (C_out,).
    """

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class CachedWindow:
    """A window without dropout, prepared for draws at some of its voxels.

    Attributes:
        features: The encoder's features, full resolution first.
        blocks: Both convolutions of each fine block, normalised as in this window, deepest block first.
        logits: Logits without dropout, (1, T, X, Y, Z).
    """

    features: Features
    blocks: tuple[tuple[FoldedConvolution, FoldedConvolution], ...]
    logits: Tensor


@dataclass(frozen=True, eq=False)
class SparseLevel:
    """The voxels of one fine level that are computed, and the rows from which each is computed.

    Attributes:
        child: (N,), eight times the row of the parent voxel in the coarser level, plus the octant within the parent.
        position: (N,), flat index of each voxel in the level, to look up the encoder's features.
        neighbours1: (M, 27), input rows of each voxel of the first convolution; row N is zero padding.
        neighbours2: (K, 27), rows of the first convolution's output; row M is zero padding.
        shortcut: (K,), input row of each voxel.
    """

    child: Tensor
    position: Tensor
    neighbours1: Tensor
    neighbours2: Tensor
    shortcut: Tensor

    def to(self, device: torch.device) -> "SparseLevel":
        """The same tables on a device."""
        tables = (self.child, self.position, self.neighbours1, self.neighbours2, self.shortcut)
        return SparseLevel(*(table.to(device) for table in tables))


@dataclass(frozen=True, eq=False)
class SparseSites:
    """The selected voxels of a window.

    Attributes:
        levels: The fine levels, deepest first; the last one gives the selected voxels, in C order.
        reference_moments: Moments over the computed voxels without dropout, after each convolution of the first fine
            block.
    """

    levels: tuple[SparseLevel, ...]
    reference_moments: tuple[Moments, Moments]


def cached_window(decoder: Decoder, features: Features) -> CachedWindow:
    """One pass through the decoder without dropout that records how each fine block was normalised."""
    x = deep_features(decoder, features, None)
    blocks = []
    for step in range(DENSE_STEPS, len(decoder.blocks)):
        x = decoder.upsampling(step)(x) + features[-2 - step]
        block = decoder.block(step)
        y, first = _normalise_and_fold(block.conv1(x), block.conv1.weight, block.norm1)
        y, second = _normalise_and_fold(block.conv2(F.leaky_relu(y, SLOPE)), block.conv2.weight, block.norm2)
        blocks.append((first, second))
        x = F.leaky_relu(y + x, SLOPE)
    return CachedWindow(features, tuple(blocks), decoder.head(x))


def _normalise_and_fold(x: Tensor, weight: Tensor, norm: ConditionedNorm) -> tuple[Tensor, FoldedConvolution]:
    """A window normalised as ``ConditionedNorm`` does, and the convolution that does both steps at once."""
    y, mean, scale = torch.native_batch_norm(x, norm.gain, norm.shift, None, None, True, 0.0, _EPSILON)
    gain = norm.gain * scale
    matrix = (weight * gain.view(-1, 1, 1, 1, 1)).flatten(2).transpose(1, 2).flatten(1)
    return y, FoldedConvolution(matrix.to(x.dtype).contiguous(), (norm.shift - mean * gain).to(x.dtype))


def deep_features(decoder: Decoder, features: Features, masks: DropoutMasks | None) -> Tensor:
    """Output of the deepest levels for the whole window, (R, C, X, Y, Z), for dropout masks (R, C) at each site."""
    site_masks: Sequence[Tensor | None] = masks or (None,) * len(decoder.dropouts)
    x = decoder.dropouts[1](decoder.bottom(decoder.dropouts[0](features[-1], site_masks[0])), site_masks[1])
    for step in range(DENSE_STEPS):
        x = decoder.upsampling(step)(x) + features[-2 - step]
        x = decoder.dropouts[2 + step](decoder.blocks[step](x), site_masks[2 + step])
    return x


def sparse_sites(decoder: Decoder, window: CachedWindow, selected: np.ndarray) -> SparseSites:
    """What must be computed for the selected voxels of a window, a mask (X, Y, Z)."""
    levels = tuple(level.to(window.logits.device) for level in sparse_levels(selected, len(window.blocks)))
    x = deep_features(decoder, window.features, None).flatten(2).transpose(1, 2)
    _, first, second = _fine_block(decoder, DENSE_STEPS, x, window, levels[0], reference=None)
    return SparseSites(levels, (first, second))


def sparse_levels(selected: np.ndarray, count: int) -> tuple[SparseLevel, ...]:
    """The voxels of each fine level in the receptive field of the selected ones; sides are multiples of 2 ** count."""
    levels: list[SparseLevel] = []
    output: np.ndarray = selected
    for _ in range(count):
        middle = _dilate(output)
        inputs = _dilate(middle)
        x, y, z = inputs.shape
        parents = np.asarray(inputs.reshape(x // 2, 2, y // 2, 2, z // 2, 2).any(axis=(1, 3, 5)))
        levels.append(_sparse_level(inputs, middle, output, parents))
        output = parents
    # The level below the fine ones is computed whole, so its rows are all its voxels.
    dense_rows = torch.from_numpy(np.flatnonzero(output.ravel()))
    coarsest = levels[-1]
    levels[-1] = replace(coarsest, child=8 * dense_rows[coarsest.child // 8] + coarsest.child % 8)
    return tuple(levels[::-1])


def _dilate(mask: np.ndarray) -> np.ndarray:
    """The voxels that a 3×3×3 convolution needs to give those of a mask."""
    return np.asarray(ndimage.maximum_filter(mask, size=3, mode="constant"))


def _sparse_level(inputs: np.ndarray, middle: np.ndarray, output: np.ndarray, parents: np.ndarray) -> SparseLevel:
    voxels = np.argwhere(inputs)
    octants = (voxels % 2) @ np.array([4, 2, 1])
    parent_rows = _rows(parents)[tuple((voxels // 2).T)]
    tables = (
        8 * parent_rows + octants,
        np.flatnonzero(inputs.ravel()),
        _neighbour_rows(inputs, middle),
        _neighbour_rows(middle, output),
        _rows(inputs)[output],
    )
    return SparseLevel(*(torch.from_numpy(np.ascontiguousarray(table, dtype=np.int64)) for table in tables))


def _rows(mask: np.ndarray) -> np.ndarray:
    """The row of each voxel of a mask; for the others, the row of zeros that follows the last."""
    rows = np.full(mask.shape, np.count_nonzero(mask), dtype=np.int64)
    rows[mask] = np.arange(rows.max() if mask.any() else 0)
    return rows


def _neighbour_rows(inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Input rows of the 27 neighbours of each output voxel, (count of outputs, 27); zeros lie beyond the window."""
    rows = np.pad(_rows(inputs), 1, constant_values=np.count_nonzero(inputs))
    voxels = np.argwhere(outputs)[:, None, :] + 1 + _NEIGHBOURHOOD[None]
    neighbours: np.ndarray = rows[voxels[..., 0], voxels[..., 1], voxels[..., 2]]
    return neighbours


def sparse_logits(decoder: Decoder, window: CachedWindow, deep: Tensor, sites: SparseSites) -> Tensor:
    """Logits of the selected voxels, (R, T, K), from the draws' ``deep_features``."""
    x = deep.flatten(2).transpose(1, 2)
    for step, level in enumerate(sites.levels, start=DENSE_STEPS):
        if step == DENSE_STEPS:
            x, *_ = _fine_block(decoder, step, x, window, level, reference=sites.reference_moments)
        else:
            x = _later_fine_block(decoder, step, x, window, level)
    head = decoder.head
    logits: Tensor = F.linear(x, head.weight.flatten(1), head.bias).transpose(1, 2)
    return logits


def _fine_block(
    decoder: Decoder,
    step: int,
    x: Tensor,
    window: CachedWindow,
    level: SparseLevel,
    *,
    reference: tuple[Moments, Moments] | None,
) -> tuple[Tensor, Moments, Moments]:
    """The first fine block, and the moments after each of its convolutions, before they are corrected.

    ``reference`` holds the moments without dropout, against which each draw is renormalised; None leaves them.
    """
    block, (first, second) = decoder.block(step), window.blocks[step - DENSE_STEPS]
    x = _block_input(decoder, step, x, window, level)
    y = _convolve(x, level.neighbours1, first)
    moments1 = _moments(y)
    if reference is not None:
        y = renormalise(y, block.norm1, moments1, reference[0])
    y = _convolve(F.leaky_relu(y, SLOPE), level.neighbours2, second)
    moments2 = _moments(y)
    if reference is not None:
        y = renormalise(y, block.norm2, moments2, reference[1])
    return F.leaky_relu(y + x.index_select(1, level.shortcut), SLOPE), moments1, moments2


def _later_fine_block(decoder: Decoder, step: int, x: Tensor, window: CachedWindow, level: SparseLevel) -> Tensor:
    """A finer block: its normalisation stays that of the deterministic window."""
    first, second = window.blocks[step - DENSE_STEPS]
    x = _block_input(decoder, step, x, window, level)
    y = _convolve(F.leaky_relu(_convolve(x, level.neighbours1, first), SLOPE), level.neighbours2, second)
    return F.leaky_relu(y + x.index_select(1, level.shortcut), SLOPE)


def _block_input(decoder: Decoder, step: int, x: Tensor, window: CachedWindow, level: SparseLevel) -> Tensor:
    """The upsampled rows plus the encoder's features at their voxels, (R, N, C)."""
    skip = window.features[-2 - step][0].flatten(1).index_select(1, level.position).T
    return upsample(x, decoder.upsampling(step).weight, level) + skip


def _moments(y: Tensor) -> Moments:
    """Mean and variance over rows, (R, 1, C), float32."""
    variance, mean = torch.var_mean(y.float(), dim=1, keepdim=True, correction=0)
    return mean, variance


def renormalise(y: Tensor, norm: ConditionedNorm, moments: Moments, reference: Moments) -> Tensor:
    """Rows normalised by the deterministic window's statistics, corrected towards those of each draw's own window.

    Args:
        y: (R, rows, C), normalised with the statistics of the deterministic window.
        norm: The normalisation that they went through.
        moments: Their mean and variance.
        reference: The same without dropout.
    """
    (mean, variance), (mean_reference, variance_reference) = moments, reference
    scale = torch.sqrt((variance_reference + _EPSILON) / (variance + _EPSILON))
    centre = norm.shift + mean - mean_reference
    return torch.addcmul((norm.shift - centre * scale).to(y.dtype), y, scale.to(y.dtype))


def upsample(x: Tensor, weight: Tensor, level: SparseLevel) -> Tensor:
    """Each voxel from its parent: a transposed convolution of side and stride two."""
    children = x @ weight.permute(0, 2, 3, 4, 1).flatten(1)
    return children.view(len(x), -1, weight.shape[1]).index_select(1, level.child)


def _convolve(x: Tensor, neighbours: Tensor, convolution: FoldedConvolution) -> Tensor:
    """(R, rows out, C_out) of (R, rows in, C_in); a part of the rows at a time, to bound memory."""
    draws, _, channels = x.shape
    x = F.pad(x, (0, 0, 0, 1))
    step = max(1, _GATHERED_AT_ONCE // (draws * 27 * channels))
    parts = []
    for rows in neighbours.split(step):
        gathered = x.index_select(1, rows.flatten()).view(draws * len(rows), 27 * channels)
        product = F.linear(gathered, convolution.weight, convolution.bias)
        parts.append(product.view(draws, len(rows), len(convolution.weight)))
    return torch.cat(parts, dim=1)
