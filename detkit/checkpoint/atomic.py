"""Atomic file writes: a crash leaves either the old or the new file, never a partial one; a failed write names its file."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detkit.checkpoint.temporary import temporary_path

_FULL = {errno.ENOSPC, errno.EDQUOT}
_LITTLE_SPACE = 1 << 20
"""Bytes; with less than this left after a write failed, the disk is considered full."""


class WriteError(OSError):
    """A file could not be written; the message names it, the reason and what to do.

    Attributes:
        strerror: The reason without the file.
    """

    def __init__(self, message: str, reason: str, number: int | None) -> None:
        super().__init__(message)
        self.errno, self.strerror = number, reason

    def __str__(self) -> str:
        return str(self.args[0])


@contextmanager
def atomic_write(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; the file written there replaces ``path`` if the block succeeds.

    The temporary file is synced to the disk before it is renamed, and removed if the block fails.

    Args:
        path: The file.
        sync: Whether the file must also survive a failure of power; without it a write takes a hundredth of the time.

    Raises:
        WriteError: If the disk is full, the file cannot be written there, or the block wrote no file.
    """
    path = Path(path)
    temporary = temporary_path(path)
    try:
        with explain_write_errors(path, temporary):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            if sync:
                with temporary.open("rb+") as handle:
                    os.fsync(handle.fileno())
            temporary.replace(path)
            if sync:
                _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def explain_write_errors(path: str | Path, temporary: Path | None = None) -> Iterator[None]:
    """Replace the error of a full or failing disk in the block by one line that names the file.

    Args:
        path: The file that the block writes.
        temporary: The file that is written in its place, if ``path`` keeps its content after a failure.

    Raises:
        WriteError: If the disk is full, or the system reports an error about no other file.
    """
    try:
        yield
    except WriteError:
        raise
    except Exception as error:
        reason = _reason(error, Path(path), temporary)
        if reason is None:
            raise
        kept = "" if temporary is None else "; what was there before is unchanged"
        number = error.errno if isinstance(error, OSError) else errno.ENOSPC
        raise WriteError(f"{path}: could not be written: {reason}{kept}", reason, number) from error


def _reason(error: Exception, path: Path, temporary: Path | None) -> str | None:
    """Return why a write failed; None if the error is not about the file."""
    number = error.errno if isinstance(error, OSError) else None
    # Libraries report a full disk by their own errors: safetensors with the number of the system's, PyTorch with neither.
    by_library = "os error 28" in str(error) or "os error 122" in str(error)
    if number in _FULL or by_library or (number is None and isinstance(error, RuntimeError) and _is_full(path.parent)):
        return "no space left on the disk; make room, or choose another folder"
    if isinstance(error, OSError) and error.filename in {None, str(temporary)} and error.strerror:
        return error.strerror
    return None


def _is_full(folder: Path) -> bool:
    if not hasattr(os, "statvfs"):
        return False
    try:
        state = os.statvfs(folder)
    except OSError:
        return False
    return state.f_bavail * state.f_frsize < _LITTLE_SPACE


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any, indent: int | None = 1) -> None:
    """Write a value as JSON atomically, with null for numbers that are not finite."""
    write_text(path, json.dumps(finite(value), indent=indent) + "\n")


def finite(value: Any) -> Any:
    """Return the value with None for numbers that are not finite, which JSON does not have; tuples become lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def _sync_folder(folder: Path) -> None:
    """Make the rename durable, where the system allows opening a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
