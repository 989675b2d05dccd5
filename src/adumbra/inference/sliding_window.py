"""Overlapping windows over a volume, and their blending."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from adumbra.core.types import Channels, Mask, Volume

LARGEST_LOSS = 0.02
"""Share of the blend that ``Windows.restricted`` may leave out at a voxel, and so the largest change of a
probability there."""
Corner = tuple[int, int, int]
Box = tuple[slice, slice, slice]
_LEAST_WEIGHT = 1e-3  # A voxel that only corners of windows cover is still an average, not 0 / 0.


@dataclass(frozen=True, eq=False)
class Windows:
    """Cubic windows over a volume.

    Attributes:
        shape: Shape of the volume, at least ``side`` along each axis.
        side: Side of a window, in voxels.
        corners: Lowest index of each window.
    """

    shape: tuple[int, int, int]
    side: int
    corners: tuple[Corner, ...]

    def boxes(self) -> Iterable[Box]:
        """The slices of each window, in order."""
        yield from map(self._box, self.corners)

    def _box(self, corner: Corner) -> Box:
        x, y, z = corner
        return slice(x, x + self.side), slice(y, y + self.side), slice(z, z + self.side)

    def restricted(self, requested: Mask, *, largest_loss: float = LARGEST_LOSS) -> "Windows":
        """The windows that the probability of some voxels needs, at the same places as before.

        A network normalises each window by its own statistics, so that a smaller window would give another result. The
        windows therefore stay as they are, and those with a negligible weight are left out, the least first. The
        probability of a requested voxel changes by at most ``largest_loss``.

        Args:
            requested: (X, Y, Z) of ``shape``; voxels in no window are ignored.
            largest_loss: Largest share of the blend's weight that a requested voxel may lose, 0 to below 1.
        """
        bell = gaussian_bell(self.side)
        total = np.zeros(self.shape, dtype=np.float32)
        for box in self.boxes():
            total[box] += bell
        shares = [(bell / total[box])[requested[box]] for box in self.boxes()]
        lost, left_out = np.zeros(self.shape, dtype=np.float32), set()
        for number in sorted(range(len(shares)), key=lambda n: float(shares[n].max(initial=0.0))):
            box = self._box(self.corners[number])
            after = lost[box][requested[box]] + shares[number]
            if after.max(initial=0.0) <= largest_loss:
                lost[box][requested[box]] = after
                left_out.add(number)
        return Windows(self.shape, self.side, tuple(c for n, c in enumerate(self.corners) if n not in left_out))

    def blend(self, pieces: Iterable[np.ndarray]) -> Volume:
        """The volume whose windows are ``pieces``, in order; where they overlap, their Gaussian-weighted mean.

        The centre of a window has seen its surroundings and the border has not, hence the Gaussian. Blend
        probabilities, not logits: one window's extreme logit must not overrule the windows that saw more.
        Voxels in no window are 0.
        """
        blended: Volume = self.blend_channels((piece[None] for piece in pieces), count=1)[0]
        return blended

    def blend_channels(self, pieces: Iterable[np.ndarray], *, count: int) -> Channels:
        """Several volumes at once, each as ``blend`` gives it: ``pieces`` are (count, side, side, side)."""
        total = np.zeros((count, *self.shape), dtype=np.float32)
        weight = np.zeros(self.shape, dtype=np.float32)
        bell = gaussian_bell(self.side)
        for box, piece in zip(self.boxes(), pieces, strict=True):
            total[:, *box] += bell * piece
            weight[box] += bell
        return np.divide(total, weight, out=total, where=weight > 0)


def windows_over(within: Mask, *, side: int, overlap: float) -> Windows:
    """The windows that together cover ``within``, evenly spread over its bounding box.

    Args:
        within: (X, Y, Z), no smaller than a window along any axis. Windows that hold none of it are left out.
        side: Side of a window, in voxels.
        overlap: Least share of a window's side that it has in common with the next, 0 to below 1.
    """
    shape = (within.shape[0], within.shape[1], within.shape[2])
    if not within.any():
        return Windows(shape, side, ())
    ranges = [_starts(*_extent(within, axis), n, side, overlap) for axis, n in enumerate(shape)]
    corners = [c for c in itertools.product(*ranges) if within[tuple(slice(a, a + side) for a in c)].any()]
    return Windows(shape, side, tuple((x, y, z) for x, y, z in corners))


def _extent(within: Mask, axis: int) -> tuple[int, int]:
    others = tuple(a for a in range(3) if a != axis)
    index = np.flatnonzero(within.any(axis=others))
    return int(index[0]), int(index[-1]) + 1


def _starts(low: int, high: int, length: int, side: int, overlap: float) -> Sequence[int]:
    """First indices of windows that cover [low, high) of an axis."""
    if high - low <= side:
        centred = (low + high - side) // 2
        return (min(max(centred, 0), length - side),)
    step = max(1, int(side * (1.0 - overlap)))
    count = 1 + -(-(high - low - side) // step)
    return tuple(round(a) for a in np.linspace(low, high - side, count))


def gaussian_bell(side: int) -> Volume:
    """Weights of a window's voxels: a Gaussian of sigma = side / 8 around its centre, at most 1, never 0."""
    x = (np.arange(side) - (side - 1) / 2) / (side / 8)
    line = np.exp(-0.5 * x**2)
    bell = line[:, None, None] * line[None, :, None] * line[None, None, :]
    return np.maximum(bell / bell.max(), _LEAST_WEIGHT).astype(np.float32)
