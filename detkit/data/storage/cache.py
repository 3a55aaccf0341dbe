"""A folder of what was read from object storage, of bounded size, shared by all processes of a machine."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from detkit.checkpoint.temporary import remove_stale_temporaries, temporary_path
from detkit.data.storage.addresses import DIGEST_BYTES

_FOLDER = re.compile(r"[0-9a-f]{2}")
_ENTRY = re.compile(r"[0-9a-f]{62}\.(data|file)")
_KEPT = 0.95
"""Fraction of the limit that is left when room is made, so that it is not made for every file."""
_PAUSE = 60.0
"""Seconds without another attempt to make room after there was nothing to remove."""
_STRIPES = 256
_CLOCK = 1.0
"""Seconds by which the clock of a file system can be behind that of the system."""
_MARK = "Signature: 8a477f597d28d172789f06886806bc55\n# Files that detkit read from object storage; they may be removed at any time.\n"
"""The mark of a cache folder that backup programs know: https://bford.info/cachedir."""

_log = logging.getLogger(__name__)


class ByteCache:
    """Contents by key; a file is either complete or not there.

    Files are written under another name and renamed. Locks are those of the system, which end with the process that holds them, however
    it ends. When the limit is reached, files that this run has not used are removed, the oldest first; if there are none, nothing more is
    stored: of data that is larger than the cache, every epoch then finds the same part in it, which is the most that any cache can do.
    Files with other names than the cache's own are never touched.

    Args:
        folder: The folder, which is made with the first file.
        limit: Bytes of all files.
    """

    def __init__(self, folder: Path, limit: float) -> None:
        self.folder, self.limit = folder, limit
        self.started = time.time() - _CLOCK
        """When this run began; files that were used later belong to it."""
        self._paused_until = 0.0

    def get(self, key: str) -> bytes | None:
        """Return the content of a key; None if there is none, or it is damaged, which is logged."""
        path = self.path(key, "data")
        try:
            stored = path.read_bytes()
        except OSError:
            return None
        data, digest = stored[:-DIGEST_BYTES], stored[-DIGEST_BYTES:]
        if digest_of(data) != digest.hex():
            _log.warning("storage cache: %s is damaged; it is read from the storage again", path)
            with suppress(OSError):
                path.unlink()
            return None
        self._use(path)
        return data

    def put(self, key: str, data: bytes) -> None:
        """Store a content if there is room; a failure only costs the time to read it again, and is logged."""
        if time.time() < self._paused_until or len(data) > self.limit:
            return
        path = self.path(key, "data")
        temporary = temporary_path(path)
        try:
            self._make_folder(path.parent)
            temporary.write_bytes(data + bytes.fromhex(digest_of(data)))
            self.adopt(temporary, path)
        except OSError as error:
            self._paused_until = time.time() + _PAUSE
            _log.warning("storage cache %s: not written: %s", self.folder, error)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def new_file(self, key: str) -> tuple[Path, Path]:
        """Return a temporary path for a file of a key, and the path that :meth:`adopt` gives it when it is complete.

        Raises:
            OSError: If the folder cannot be made.
        """
        path = self.path(key, "file")
        self._make_folder(path.parent)
        return temporary_path(path), path

    def file(self, key: str) -> Path | None:
        """Return the file of a key; None if there is none."""
        path = self.path(key, "file")
        if not path.is_file():
            return None
        self._use(path)
        return path

    def adopt(self, temporary: Path, path: Path) -> bool:
        """Give a complete file its name if there is room, and return whether it has it.

        Raises:
            OSError: If the folder cannot be written.
        """
        length = temporary.stat().st_size
        with locked(self.folder / "lock"):
            total = self._total()
            if total + length > self.limit:
                total = self._make_room(length)
            if total + length > self.limit:
                return False
            temporary.replace(path)
            self._write_total(total + length)
        return True

    @contextmanager
    def reading(self, key: str) -> Iterator[None]:
        """Hold the reading of a key, so that two processes that need the same file read it once."""
        try:
            self._make_folder(self.folder / "locks")
        except OSError:
            yield
            return
        with locked(self.folder / "locks" / f"{int(key[:8], 16) % _STRIPES:02x}"):
            yield

    def path(self, key: str, kind: str) -> Path:
        """Return where a key of 64 hexadecimal digits is kept."""
        return self.folder / key[:2] / f"{key[2:]}.{kind}"

    def files(self) -> Iterator[tuple[float, int, Path]]:
        """Yield the time of the last use, the size and the path of each of the cache's own files."""
        for folder in self._folders():
            with suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    if _ENTRY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        with suppress(OSError):
                            state = entry.stat(follow_symlinks=False)
                            yield state.st_mtime, state.st_size, Path(entry.path)

    def _folders(self) -> list[Path]:
        with suppress(OSError):
            return [path for path in self.folder.iterdir() if _FOLDER.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]
        return []

    def _use(self, path: Path) -> None:
        """Mark a file as used by this run, once."""
        with suppress(OSError):
            if path.stat().st_mtime < self.started:
                os.utime(path)

    def _total(self) -> int:
        try:
            return int((self.folder / "size").read_text())
        except (OSError, ValueError):
            return sum(size for _, size, _ in self.files())

    def _write_total(self, total: int) -> None:
        (self.folder / "size").write_text(f"{total}\n")

    def _make_room(self, length: int) -> int:
        """Remove files that this run does not use, and return the bytes of all that remain."""
        if time.time() < self._paused_until:
            return self._total()
        remove_stale_temporaries(*self._folders())
        files = sorted(self.files())
        total = sum(size for _, size, _ in files)  # counted again: a killed process may not have counted its last file
        for used, size, path in files:
            if total + length <= _KEPT * self.limit or used >= self.started:
                break
            with suppress(OSError):  # removed meanwhile, or owned by another user
                path.unlink()
                total -= size
        if total + length > self.limit:
            self._paused_until = time.time() + _PAUSE
            _log.info("storage cache %s is full; the rest is read from the storage each time", self.folder)
        self._write_total(total)
        return total

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        mark = self.folder / "CACHEDIR.TAG"
        if not mark.exists():
            mark.write_text(_MARK)


def digest_of(data: bytes) -> str:
    """Return the digest of some bytes as hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


def digest_of_file(path: Path) -> str:
    """Return the digest of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock of the system on a file, waiting for other threads and processes; without one where the disk has no locks."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        held = _lock(descriptor)
        try:
            yield
        finally:
            if held:
                _unlock(descriptor)  # closing alone would leave it to a process that was forked meanwhile
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        while True:
            with suppress(OSError):
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
                return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
