"""How much memory something takes, measured in a process of its own, whose allocator gives back what is freed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def growth(action: Callable[[], object]) -> None:
    """Do something and print how many megabytes more were resident at most, while it was done, than before."""
    from detkit.machine import peak_memory

    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    begun = peak_memory()
    action()
    ended = peak_memory()
    if begun is None or ended is None:
        raise OSError("the system does not tell the peak of memory")
    print((ended[0] - begun[0]) / 1e6)


def growths_in(script: Path) -> list[float]:
    """What the calls of :func:`growth` in a script printed; the test is skipped where the system cannot count."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("the system does not count the peak of memory anew")
    folders = os.pathsep.join([str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)])
    settings = {"MALLOC_MMAP_THRESHOLD_": "131072", "OMP_NUM_THREADS": "1", "PYTHONPATH": folders}
    done = subprocess.run([sys.executable, str(script)], env=os.environ | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.splitlines()]
