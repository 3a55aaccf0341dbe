"""Memory use of this process and properties of its CPU; without heavy imports."""

from __future__ import annotations

import platform
import sys
from pathlib import Path


def peak_memory() -> tuple[int, int] | None:
    """Peak memory in bytes of this process, and of its largest finished child; ``None`` if the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    own, children = (resource.getrusage(who).ru_maxrss * unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return _own_peak() or own, children


def processor() -> str:
    """Name of the processor as reported by the system."""
    return _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def _own_peak() -> int | None:
    # Counted from the start of the program; getrusage also counts the parent's memory at the fork.
    peak = _field("/proc/self/status", "VmHWM")
    return int(peak.split()[0]) * 1024 if peak else None


def _field(file: str, name: str) -> str | None:
    """The first ``name: value`` in a text file of Linux; ``None`` on other systems."""
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def bf16_instructions() -> str | None:
    """Return the instruction set with which this CPU multiplies bfloat16 numbers; None if it is no faster than float32.

    AMX (Intel, from Sapphire Rapids) multiplies matrices. AVX512_BF16 (AMD from Zen 4, Intel in Cooper Lake and from Sapphire Rapids)
    sums products of pairs, two for each one of float32.
    """
    import torch

    probes = {"AMX": "_is_amx_tile_supported", "AVX512_BF16": "_is_avx512_bf16_supported"}
    for name, probe in probes.items():
        is_supported = getattr(torch.cpu, probe, None)
        if is_supported is not None and is_supported():
            return name
    return None
