"""Tables, durations, counts and the memory line that commands print."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from detkit.machine import peak_memory
from detkit.printable import printable

T = TypeVar("T")

_COLUMNS, _LINES = 80, 24
LONGEST_CELL = 200
"""Characters of a cell of a table, such as a class name; longer ones are shortened."""
MOST_ROWS, ROWS_OF_MANY = 40, 30
"""Rows of a table of classes; of more classes than the first number, the second are listed."""
LONGEST_LIST = 100
"""Names of a printed list; of more, only the number is printed."""
MEGABYTE = 1e6
"""Bytes in a printed MB."""


def table(rows: Sequence[Sequence[object]], header: Sequence[str], numbers: frozenset[str] | set[str] = frozenset()) -> str:
    """Return rows aligned in columns under ``header``, one line a row; the columns named in ``numbers`` are right-aligned."""
    texts = [[printable(cell, LONGEST_CELL) for cell in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in texts)]) for i, name in enumerate(header)]
    lines = []
    for row in [list(header), *texts]:
        cells = [cell.rjust(width) if name in numbers else cell.ljust(width) for cell, width, name in zip(row, widths, header, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def listed(names: Sequence[object], longest: int = LONGEST_LIST) -> str:
    """Return names separated by commas; of many, the first ones and the number of the others."""
    text = ", ".join(printable(name, LONGEST_CELL) for name in names[:longest])
    return text if len(names) <= longest else f"{text} and {len(names) - longest:,} more"


def with_bar(items: Iterable[T], total: int | None, unit: str, title: str | None = None) -> Iterable[T]:
    """Yield the items, with a progress bar if stderr is a terminal; one that states no size, as in some containers, has 24 x 80."""
    bar: Iterable[T] = _bar(items, total, unit, title)
    return bar


def progress_bar(total: int | None, unit: str, title: str | None = None) -> Any:
    """Return a progress bar that is updated with ``bar.update(count)`` inside a ``with`` block; see :func:`with_bar`."""
    return _bar(None, total, unit, title)


def _bar(items: Iterable[Any] | None, total: int | None, unit: str, title: str | None) -> Any:
    from tqdm import tqdm

    columns, lines = (None, None) if _has_size() else (_COLUMNS, _LINES)
    return tqdm(items, title, total, unit=unit, disable=None, leave=False, file=sys.stderr, ncols=columns, nrows=lines)


def _has_size() -> bool:
    """Return whether stderr is a terminal of known size."""
    try:
        return min(os.get_terminal_size(sys.stderr.fileno())) > 0
    except (OSError, ValueError, AttributeError):  # closed, or not a file
        return False


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
