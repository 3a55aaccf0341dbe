"""Keep freed memory in the process, which large tensors on a CPU are made from again at once."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

# From glibc's malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Stop glibc's malloc from giving large blocks back to the system when they are freed; says whether it did.

    Every step of a training allocates the same large tensors. By default each is mapped anew and the system clears its pages
    one fault at a time, which can double a step on a CPU. Peak memory stays as it is; the process keeps it until it ends.
    For the command line only: a library must not change its host's allocator. Does nothing without glibc, under another
    allocator, or where the user sets ``MALLOC_...`` variables.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    if any(name.startswith("MALLOC_") and name.endswith("_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, _LARGEST))
