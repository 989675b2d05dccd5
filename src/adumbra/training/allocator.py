"""What the process asks of the system before hours of training."""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # mallopt's names for them, from malloc.h.


def keep_freed_memory() -> bool:
    """Makes glibc keep large freed blocks for the next step; False where there is no glibc.

    By default every activation of more than 32 MB is mapped anew and its pages are cleared by the kernel, each time: a
    third of the CPU time of a training step went there.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return False
    return bool(libc.mallopt(_MMAP_MAX, 0) and libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1))
