"""Collect cyclic garbage less often, so that commands start and end sooner."""

from __future__ import annotations

import atexit
import gc

_ALLOCATIONS = 10_000
_STEPS = 20


def collect_rarely() -> None:
    """Search for reference cycles less often, and not when the process ends.

    Importing torch creates a million objects that live as long as the process. By default they are searched hundreds of times during the
    import and once more at the end, which together takes a third of the time of a command that processes one image.
    For the command line only: a library must not change its host's collector.
    """
    gc.set_threshold(_ALLOCATIONS, _STEPS, _STEPS)
    atexit.register(_skip_final_collection)


def _skip_final_collection() -> None:
    """Skip the collection at exit, unless a library would report the remaining objects as leaks.

    Libraries built with nanobind do, in thirty lines of output; the compiler shipped with PyTorch 2.15 is one of them.
    """
    if not any(kind.__module__ == "nanobind" for kind in type.__subclasses__(type)):
        gc.freeze()
