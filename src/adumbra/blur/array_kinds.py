"""Arrays and tensors: a function that takes either kind returns the kind that it was given."""

from collections.abc import Sequence
from typing import TypeVar, overload

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T", Tensor, np.ndarray)


def as_tensor(values: Tensor | np.ndarray | float) -> Tensor:
    """A tensor as it is; an array as a copy, since torch accepts no flipped, read-only or big-endian arrays."""
    if isinstance(values, Tensor):
        return values
    if isinstance(values, np.ndarray):
        return torch.from_numpy(np.array(values, dtype=values.dtype.newbyteorder("="), order="C"))
    return torch.as_tensor(values, dtype=torch.float64)


@overload
def same_kind(values: Tensor, reference: Tensor) -> Tensor: ...
@overload
def same_kind(values: Tensor, reference: np.ndarray) -> np.ndarray: ...
def same_kind(values: Tensor, reference: Tensor | np.ndarray) -> Tensor | np.ndarray:
    """The tensor, as an array where the reference is an array."""
    return values.numpy() if isinstance(reference, np.ndarray) else values


def broadcasts(shape: Sequence[int], target: Sequence[int]) -> bool:
    """Whether an array of a shape broadcasts to the target shape without enlarging it."""
    trailing = target[len(target) - len(shape) :]
    return len(shape) <= len(target) and all(n in (1, m) for n, m in zip(shape, trailing, strict=True))
