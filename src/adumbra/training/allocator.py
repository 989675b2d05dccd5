"""Memory settings of the process for long trainings."""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # Parameters of mallopt, from malloc.h.


def keep_freed_memory() -> bool:
    """Makes glibc reuse large freed blocks in the next step; returns False where there is no glibc.

    By default glibc maps every activation above 32 MB afresh, and the kernel clears its pages each time. That took a
    third of the CPU time of a training step.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return False
    return bool(libc.mallopt(_MMAP_MAX, 0) and libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1))
