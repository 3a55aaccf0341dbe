"""Have Python look for cyclic garbage less often, so that commands begin and end sooner."""

from __future__ import annotations

import atexit
import gc

_ALLOCATIONS = 10_000
_STEPS = 20


def collect_rarely() -> None:
    """Let containers pile up a while before they are searched for cycles, and do not search them when the process ends.

    Importing torch makes a million objects that live as long as the process: by default they are searched hundreds of times while they are
    made, and once more at the end, which together takes a third of the time of a command that looks at one image.
    For the command line only: a library must not change its host's collector.
    """
    gc.set_threshold(_ALLOCATIONS, _STEPS, _STEPS)
    atexit.register(_leave_the_rest)


def _leave_the_rest() -> None:
    """Spare the search at the end, unless something would call what it leaves a leak.

    Libraries made with nanobind do, with thirty lines on the screen; the compiler that comes with PyTorch 2.15 is one.
    """
    if not any(kind.__module__ == "nanobind" for kind in type.__subclasses__(type)):
        gc.freeze()
