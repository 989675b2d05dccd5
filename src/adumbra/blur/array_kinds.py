"""Arrays and tensors: each kind in, the same kind out."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T", Tensor, np.ndarray)


def as_tensor(values: Tensor | np.ndarray | float) -> Tensor:
    """A tensor as it is; an array copied, for torch takes no flipped, read-only or big-endian ones."""
    if isinstance(values, Tensor):
        return values
    if isinstance(values, np.ndarray):
        return torch.from_numpy(np.array(values, dtype=values.dtype.newbyteorder("="), order="C"))
    return torch.as_tensor(values, dtype=torch.float64)


def like(values: Tensor, kind: object) -> Any:
    """The tensor, as an array where ``kind`` is one."""
    return values.numpy() if isinstance(kind, np.ndarray) else values


def broadcasts(shape: Sequence[int], target: Sequence[int]) -> bool:
    """Whether an array of a shape broadcasts to the target and does not enlarge it."""
    trailing = target[len(target) - len(shape) :]
    return len(shape) <= len(target) and all(n in (1, m) for n, m in zip(shape, trailing, strict=True))
