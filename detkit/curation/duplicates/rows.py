"""A file of rows of equal length that is only appended to, survives kills and damage, and is read in one go."""

from __future__ import annotations

import logging
import zlib
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from detkit.checkpoint.atomic import atomic_write
from detkit.checkpoint.folder_lock import FolderInUseError, FolderLock

_log = logging.getLogger(__name__)

_CHECK = "check"
Rows = NDArray[Any]


class RowFile:
    """Rows on disk, each with a checksum. Use it as a context manager, which locks its folder.

    A row that was cut off or damaged is not read, and is removed from the file. While another process holds the folder, or where it cannot
    be written, rows are read and not stored.

    Args:
        path: The file; its folder is created. Each file needs a folder of its own. None: nothing is stored.
        fields: Names, types and shapes of the fields, as for ``numpy.dtype``; all of them are plain numbers.
    """

    def __init__(self, path: Path | None, fields: list[Any]) -> None:
        self.path = path
        self.type = np.dtype([*fields, (_CHECK, "<u4")])
        self._stack = ExitStack()
        self._writable = False

    def __enter__(self) -> Self:
        if self.path is None:
            return self
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stack.enter_context(FolderLock(self.path.parent))
            self._writable = True
        except FolderInUseError:
            _log.info("%s is in use: results are not cached this time", self.path.parent)
        except OSError as error:
            _log.warning("%s cannot be written (%s): results are not cached", self.path.parent, error.strerror or error)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writable = False
        self._stack.close()

    def read(self) -> Rows:
        """Return all whole rows; if there are others, the file is written again without them."""
        try:
            content = b"" if self.path is None else self.path.read_bytes()
        except OSError:
            return np.zeros(0, self.type)
        size = self.type.itemsize
        rows = np.frombuffer(content, self.type, len(content) // size)
        whole: Rows = rows[self._checks(rows) == rows[_CHECK]]
        if len(content) != len(whole) * size:
            _log.info("%s: %d damaged rows are computed again", self.path, len(rows) - len(whole) + bool(len(content) % size))
            self.write(whole)
        return whole

    def write(self, rows: Rows) -> None:
        """Replace the content of the file."""
        if self.path is not None and self._writable:
            with atomic_write(self.path, sync=False) as temporary:
                temporary.write_bytes(self._signed(rows).tobytes())

    def append(self, rows: Rows) -> None:
        """Add rows to the end of the file; a disk that is full only makes the cache end there."""
        if self.path is None or not self._writable or not len(rows):
            return
        try:
            with self.path.open("ab") as file:
                file.write(self._signed(rows).tobytes())
        except OSError as error:
            self._writable = False
            _log.warning("%s: could not be written (%s): further results are not cached", self.path, error.strerror or error)

    def empty(self, count: int) -> Rows:
        """Return rows of zeros."""
        return np.zeros(count, self.type)

    def _signed(self, rows: Rows) -> Rows:
        signed = rows.copy()
        signed[_CHECK] = self._checks(rows)
        return signed

    def _checks(self, rows: Rows) -> NDArray[np.uint32]:
        length = self.type.itemsize - 4
        view = memoryview(np.ascontiguousarray(rows).tobytes())
        starts = range(0, len(rows) * self.type.itemsize, self.type.itemsize)
        return np.fromiter((zlib.crc32(view[start : start + length], 1) for start in starts), np.uint32, len(rows))
