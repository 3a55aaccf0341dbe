"""Names of temporary files, by which those of killed processes are recognized and removed."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
import secrets
import sys
import time
from functools import lru_cache
from pathlib import Path

_log = logging.getLogger(__name__)

STALE_SECONDS = 24 * 3600.0
"""Age from which a temporary file is left over even if its process cannot be checked: no write takes a day."""
_LONGEST_NAME = 120
"""Bytes of the file's own name that are kept in the name of its temporary file; file systems allow 255 in total."""
_PATTERN = re.compile(r"\..*\.(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-(?P<start>\d+)-[0-9a-f]{8}\.tmp(\.\w+)?")


def temporary_path(path: Path, extension: str = "") -> Path:
    """Return a new name in the folder of a file; no other thread or process, on any machine, gets the same.

    Args:
        path: The file.
        extension: What the name ends with, for libraries that go by it, such as ``.mp4``.
    """
    name = os.fsencode(path.name)[:_LONGEST_NAME].decode("utf-8", "ignore")
    pid = os.getpid()
    return path.with_name(f".{name}.{_machine()}-{pid}-{_start_of(pid) or 0}-{secrets.token_hex(4)}.tmp{extension}")


def remove_stale_temporaries(*folders: Path) -> int:
    """Remove the temporary files that killed processes left directly in these folders, and return how many.

    A file is removed if its name is one of :func:`temporary_path` and the process that made it has ended, or if it is a day old.
    """
    removed = 0
    for path in [path for folder in folders if folder.is_dir() for path in folder.glob(".*.tmp*")]:
        match = _PATTERN.fullmatch(path.name)
        try:
            if match is not None and path.is_file() and _is_stale(path, match):
                path.unlink()
                removed += 1
        except OSError:  # removed meanwhile, or owned by another user
            continue
    if removed:
        _log.info("removed %d temporary file%s of killed processes", removed, "s" * (removed > 1))
    return removed


def _is_stale(path: Path, match: re.Match[str]) -> bool:
    if time.time() - path.stat().st_mtime > STALE_SECONDS:
        return True
    if match["machine"] != _machine() or sys.platform == "win32":
        return False
    return not is_running(int(match["pid"]), int(match["start"]))


def is_running(pid: int, start: int) -> bool:
    """Return whether a process of this machine is running that began at ``start``; with ``start`` 0, whether any has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    now = _start_of(pid)
    return now is None or start in {0, now}


def _start_of(pid: int) -> int | None:
    """Return when a process began, in clock ticks since the start of the machine; None where the system does not show it."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text[text.rindex(")") + 2 :].split()[19])


@lru_cache(1)
def _machine() -> str:
    """Return a name of this machine, or of this container, whose process ids are its own."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return hashlib.blake2b(f"{platform.node()} {namespace}".encode(), digest_size=4).hexdigest()
