"""Peak memory growth of an action, measured in a separate process whose allocator returns freed memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def growth(action: Callable[[], object]) -> None:
    """Run an action and print the growth of the peak resident memory during it, in megabytes."""
    from detkit.machine import peak_memory

    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    before = peak_memory()
    action()
    after = peak_memory()
    if before is None or after is None:
        raise OSError("the system does not report peak memory")
    print((after[0] - before[0]) / 1e6)


def growths_in(script: Path) -> list[float]:
    """Run a script and return what its calls of :func:`growth` printed; skip the test if the system cannot measure it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("the system cannot reset the peak of memory")
    folders = os.pathsep.join([str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)])
    settings = {"MALLOC_MMAP_THRESHOLD_": "131072", "OMP_NUM_THREADS": "1", "PYTHONPATH": folders}
    result = subprocess.run([sys.executable, str(script)], env=os.environ | settings, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return [float(line) for line in result.stdout.splitlines()]
