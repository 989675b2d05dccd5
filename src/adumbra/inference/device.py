"""Where a network computes, and in which precision."""

import contextlib

import torch

from adumbra.core.errors import InputRejected
from adumbra.core.options import DeviceName, Precision

__all__ = ["DeviceName", "Precision", "autocast", "computes_bf16", "select_device", "use_threads"]


def select_device(name: DeviceName) -> torch.device:
    """The device of a name; ``"auto"`` takes a GPU where there is one.

    Raises:
        InputRejected: A GPU is asked for, and torch sees none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputRejected("device", expected="a GPU that torch can use", found="none", do="choose cpu or auto")
    return torch.device(name)


def use_threads(count: int | None) -> None:
    """Sets the number of torch's threads; None and 0 leave its own choice."""
    if count:
        torch.set_num_threads(count)


def computes_bf16(device: torch.device) -> bool:
    """Whether the hardware computes bfloat16: AVX512-bf16 or AMX on a CPU, Ampere and later on a GPU."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def autocast(precision: Precision, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """The context in which a network computes; ``"auto"`` is bfloat16 where the hardware computes it."""
    bf16 = precision == "bf16" or (precision == "auto" and computes_bf16(device))
    return torch.autocast(device.type, torch.bfloat16) if bf16 else contextlib.nullcontext()
