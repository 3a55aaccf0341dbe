"""Tables, durations, counts and the memory line that commands print."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from detkit.machine import peak_memory

MEGABYTE = 1e6
"""Bytes in a printed MB."""


def table(rows: Sequence[Sequence[object]], header: Sequence[str], numbers: frozenset[str] | set[str] = frozenset()) -> str:
    """Return rows aligned in columns under ``header``; the columns named in ``numbers`` are right-aligned."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in texts)]) for i, name in enumerate(header)]
    lines = []
    for row in [list(header), *texts]:
        cells = [cell.rjust(width) if name in numbers else cell.ljust(width) for cell, width, name in zip(row, widths, header, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def memory_line(workers: bool = False) -> str:
    """Return ``peak memory 812 MB``, with that of the GPU if one is used and, with ``workers``, that of the largest worker."""
    peaks = peak_memory()
    parts = [] if peaks is None else [f"{peaks[0] / MEGABYTE:,.0f} MB"]
    if workers and peaks is not None and peaks[1]:
        parts.append(f"{peaks[1] / MEGABYTE:,.0f} MB in the largest worker")
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        parts.append(f"{torch.cuda.max_memory_allocated() / MEGABYTE:,.0f} MB on the GPU")
    return "peak memory " + (", ".join(parts) if parts else "unknown on this system")


def duration(seconds: float) -> str:
    """Format a duration: ``0.84 s``, ``12.3 s``, ``4 min 05 s`` or ``2 h 03 min``."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def shown(value: float) -> str:
    """Format a metric with three decimals; a dash for NaN, a metric without ground truth."""
    return "-" if value != value else f"{value:.3f}"


def count(number: int, thing: str, plural: str | None = None) -> str:
    """Format a count: ``1 image``, ``1,200 images``, ``no images``."""
    word = thing if number == 1 else (plural or thing + "s")
    return f"{number:,} {word}" if number else f"no {word}"
