"""A lock on a folder that one process at a time writes to; the system releases it when the process ends, however it ends."""

from __future__ import annotations

import errno
import logging
import os
import platform
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_log = logging.getLogger(__name__)

NAME = ".detkit.lock"
"""Name of the file that is locked; it exists while the folder is in use, and after a process was killed."""

_held: set[str] = set()
"""Folders that this process holds: the system's locks are per process, and closing the file a second time would release them."""
_reserving = threading.Lock()
"""Held while a thread looks into :data:`_held` and adds to it."""

_IN_USE = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}


class FolderInUseError(ValueError):
    """A folder is in use by another process, or elsewhere in this one."""


class FolderLock:
    """Context manager that holds a folder, which must exist.

    A file system without locks is used without one.

    Raises:
        FolderInUseError: On entry, if the folder is in use.
        OSError: On entry, if the lock file cannot be created.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._path = self.folder / NAME
        self._key = str(self.folder.resolve())
        self._descriptor = -1

    def __enter__(self) -> Self:
        with _reserving:
            if self._key in _held:
                raise _in_use(self.folder, f"process {os.getpid()}, this one,")
            _held.add(self._key)
        try:
            self._descriptor = self._open()
        except BaseException:
            _held.discard(self._key)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):  # on Windows an open file cannot be removed, and the folder may be gone
            self._path.unlink()
        os.close(self._descriptor)
        _held.discard(self._key)

    def _open(self) -> int:
        """Return the descriptor of the locked file; a file that its holder removed meanwhile is created again."""
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                _lock(descriptor)
            except OSError as error:
                holder = os.read(descriptor, 200).decode("utf-8", "replace").strip() if error.errno in _IN_USE else ""
                if error.errno in _IN_USE:
                    os.close(descriptor)
                    raise _in_use(self.folder, holder or "another process") from None
                _log.debug("%s cannot be locked: %s", self.folder, error)
                return descriptor
            if _is_same(descriptor, self._path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode())
                return descriptor
            os.close(descriptor)


def _in_use(folder: Path, holder: str) -> FolderInUseError:
    return FolderInUseError(f"{folder}: in use by {holder}; wait until it has ended, or choose another folder")


def _is_same(descriptor: int, path: Path) -> bool:
    """Return whether a path is still that of an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
