"""The log file of a run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from logging.handlers import MemoryHandler
from pathlib import Path

from detkit.printable import PrintableFormatter

_CAPACITY = 100_000
"""Maximum number of lines that are buffered until the file is known."""


class _LogFile(logging.FileHandler):
    """A log file that loses lines on a full disk, where a traceback for each would hide the error that ends the run."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - a name of the standard library
        """Ignore errors of the system."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        """Close the file, whose last lines may not fit the disk."""
        with suppress(OSError):
            super().close()


@contextmanager
def log_to_file(first: bool) -> Iterator[Callable[[Path], None]]:
    """Yield a function that sets the log file; lines logged inside the block before it is called are written to the file as well.

    Args:
        first: Whether this is the first process. The others log warnings only, and write no file.
    """
    logger = logging.getLogger("detkit")
    level, handlers = logger.level, []
    logger.setLevel((min(level, logging.INFO) if level else logging.INFO) if first else logging.WARNING)
    memory = MemoryHandler(_CAPACITY, flushLevel=logging.CRITICAL + 1)
    logger.addHandler(memory)

    def write_to(path: Path) -> None:
        if not first:
            return
        file = _LogFile(path, encoding="utf-8", errors="backslashreplace")
        file.setFormatter(PrintableFormatter("%(asctime)s %(message)s"))
        memory.setTarget(file)
        memory.flush()
        logger.removeHandler(memory)
        logger.addHandler(file)
        handlers.append(file)

    try:
        yield write_to
    finally:
        logger.removeHandler(memory)
        for file in handlers:
            logger.removeHandler(file)
            file.close()
        logger.setLevel(level)
