"""Memory use and allocator of this process, and properties of its CPU; without heavy imports."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

# From glibc's malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_LARGEST = 2**31 - 1


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


@dataclass(frozen=True)
class Bf16Support:
    """Support of a CPU for bfloat16 numbers.

    Attributes:
        instructions: The instruction set that multiplies them, ``AMX`` or ``AVX512_BF16``; None if bfloat16 is no faster than float32.
        fused: Whether oneDNN's own operators, such as its fused convolutions, accept them. Where they do not (AVX2 alone), torch multiplies
            them without oneDNN, several times slower than float32.
    """

    instructions: str | None
    fused: bool


def bf16_support() -> Bf16Support:
    """Return what this CPU can do with bfloat16 numbers, within the limit that ``ONEDNN_MAX_CPU_ISA`` sets in the environment.

    AMX (Intel, from Sapphire Rapids) multiplies matrices. AVX512_BF16 (AMD from Zen 4, Intel in Cooper Lake and from Sapphire Rapids)
    sums products of pairs, two for each one of float32. torch reaches both through oneDNN only, so oneDNN is asked first: with
    ``ONEDNN_MAX_CPU_ISA=AVX2``, any x86 processor behaves like one that has AVX2 alone.
    """
    import torch

    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    if supported is None or not supported():
        return Bf16Support(None, fused=False)
    probes = {"AMX": "_is_amx_tile_supported", "AVX512_BF16": "_is_avx512_bf16_supported"}
    for name, probe in probes.items():
        is_supported = getattr(torch.cpu, probe, None)
        if is_supported is not None and is_supported():
            return Bf16Support(name, fused=True)
    return Bf16Support(None, fused=True)


def has_int8_products() -> bool:
    """Return whether this CPU sums products of int8 numbers in 32 bits, which AVX512-VNNI, AVX-VNNI, AMX and ARM's dot products do.

    Others sum pairs of products in 16 bits, which overflow unless weights have 7 bits. Where the system does not tell, the answer is False
    on x86.
    """
    flags = (_field("/proc/cpuinfo", "flags") or "").split()
    if flags:
        return not {"avx512_vnni", "avx_vnni", "amx_int8"}.isdisjoint(flags)
    return platform.machine().lower() in {"arm64", "aarch64"}


def keep_freed_memory() -> bool:
    """Stop glibc's malloc from returning large freed blocks to the system, and return whether that was possible.

    Every training step allocates the same large tensors. By default each is mapped again and the system clears its pages one
    fault at a time, which can double the time of a step on a CPU. Peak memory does not change; the process keeps it until it ends.
    For processes that are detkit's own: a library must not change its host's. Does nothing without glibc, with another allocator, or if
    the user sets ``MALLOC_...`` or ``GLIBC_TUNABLES`` variables.
    """
    import ctypes

    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    if any(name.startswith("MALLOC_") and name.endswith("_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, _LARGEST))
