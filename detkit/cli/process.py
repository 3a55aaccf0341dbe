"""Settings of the process that make commands faster. For the command line only: a library must not change its host's settings."""

from __future__ import annotations

import atexit
import gc
import os
import sys

_ALLOCATIONS = 10_000
_STEPS = 20

# From glibc's malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_LARGEST = 2**31 - 1


def collect_rarely() -> None:
    """Search for reference cycles less often, and not when the process ends.

    Importing torch creates a million objects that live as long as the process. By default they are searched hundreds of times during the
    import and once more at the end, which together takes a third of the time of a command that processes one image.
    """
    gc.set_threshold(_ALLOCATIONS, _STEPS, _STEPS)
    atexit.register(_skip_final_collection)


def _skip_final_collection() -> None:
    """Skip the collection at exit, unless a library would report the remaining objects as leaks.

    Libraries built with nanobind do, in thirty lines of output; the compiler shipped with PyTorch 2.15 is one of them.
    """
    if not any(kind.__module__ == "nanobind" for kind in type.__subclasses__(type)):
        gc.freeze()


def keep_freed_memory() -> bool:
    """Stop glibc's malloc from returning large freed blocks to the system, and return whether that was possible.

    Every training step allocates the same large tensors. By default each is mapped again and the system clears its pages one
    fault at a time, which can double the time of a step on a CPU. Peak memory does not change; the process keeps it until it ends.
    Does nothing without glibc, with another allocator, or if the user sets ``MALLOC_...`` or ``GLIBC_TUNABLES`` variables.
    """
    import ctypes
    import platform

    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    if any(name.startswith("MALLOC_") and name.endswith("_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, _LARGEST))
