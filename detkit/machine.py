"""What this process used, and what it runs on; without heavy imports."""

from __future__ import annotations

import platform
import sys
from pathlib import Path


def peak_memory() -> tuple[int, int] | None:
    """The most bytes this process, and the largest of its ended children, ever held in memory; ``None`` where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    own, children = (resource.getrusage(who).ru_maxrss * unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return _own_peak() or own, children


def processor() -> str:
    """The processor's name as the system gives it."""
    return _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def _own_peak() -> int | None:
    # Counted since the program was started; getrusage also counts what the parent held when it forked.
    peak = _field("/proc/self/status", "VmHWM")
    return int(peak.split()[0]) * 1024 if peak else None


def _field(file: str, name: str) -> str | None:
    """The first ``name: value`` of a text file of Linux's; ``None`` elsewhere."""
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def bf16_instructions() -> str | None:
    """The instructions by which this CPU multiplies bfloat16 numbers, or None where it does that in float32, and no faster.

    AMX (Intel, from Sapphire Rapids) multiplies matrices; AVX512_BF16 (AMD from Zen 4, Intel in Cooper Lake and from Sapphire Rapids on)
    sums products of pairs, two for one of float32.
    """
    import torch

    probes = {"AMX": "_is_amx_tile_supported", "AVX512_BF16": "_is_avx512_bf16_supported"}
    for name, probe in probes.items():
        found = getattr(torch.cpu, probe, None)
        if found is not None and found():
            return name
    return None
