"""Keep freed memory in the process, so that large tensors on a CPU reuse it."""

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
    """Stop glibc's malloc from returning large freed blocks to the system, and return whether that was possible.

    Every training step allocates the same large tensors. By default each is mapped again and the system clears its pages one
    fault at a time, which can double the time of a step on a CPU. Peak memory does not change; the process keeps it until it ends.
    For the command line only: a library must not change its host's allocator. Does nothing without glibc, with another
    allocator, or if the user sets ``MALLOC_...`` or ``GLIBC_TUNABLES`` variables.
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
