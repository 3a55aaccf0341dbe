"""Listing of the non-hidden files in and below a folder, with links followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from detkit.data.storage.files import is_stored, read_stored


def visible(paths: Iterable[Path]) -> list[Path]:
    """Return the paths that are not hidden, sorted; macOS adds a ``._name`` for each file that it copies to other disks."""
    return sorted(path for path in paths if not path.name.startswith("."))


MOST_FILES = 3_000_000
"""Files below a folder above which it is not taken for a data folder."""


def files_below(folder: Path, most: int = MOST_FILES) -> Iterator[Path]:
    """Yield all files in and below a folder, in no particular order, except hidden ones such as ``.ipynb_checkpoints``.

    Links to folders are followed, which neither ``os.walk`` nor ``Path.rglob`` does by itself. Each folder is visited once: under its
    own path if that is below ``folder``, so that labels next to it are found. A link to a folder that contains ``folder`` would be
    a cycle and is skipped.

    Raises:
        ValueError: If there are more than ``most`` files, as below the root of a disk.
    """
    count, root, visited, tops = 0, os.path.realpath(folder), set(), [str(folder)]
    while tops:
        links: list[str] = []
        for parent, folders, names in (row for top in tops for row in os.walk(top)):
            real = os.path.realpath(parent)
            if real in visited:
                folders.clear()
                continue
            visited.add(real)
            folders[:] = [name for name in folders if not name.startswith(".")]
            links += [os.path.join(parent, name) for name in folders if _is_link(os.path.join(real, name))]
            count += len(names)
            if count > most:
                raise ValueError(f"{folder}: there are more than {most:,} files below it; name the folder of the data")
            yield from (Path(parent, name) for name in names if not name.startswith("."))
        tops = [link for link in sorted(links) if not _contains(os.path.realpath(link), root)]


def _contains(folder: str, path: str) -> bool:
    return os.path.join(path, "").startswith(os.path.join(folder, ""))


def _is_link(path: str) -> bool:
    """Return whether a path in a resolved folder is a link; unlike ``islink``, this includes junctions under Windows."""
    return os.path.realpath(path) != path


def read_regular(path: str | Path, most: int | None = None) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no regular file, such as a named pipe, which might never end, or is longer than ``most`` bytes.
    """
    if is_stored(path):
        return read_stored(path)
    with open(path, "rb", opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path}: {_not_regular(status.st_mode)}")
        if most is not None and status.st_size > most:
            raise ValueError(f"{path}: the file has {status.st_size:,} bytes; expected at most {most:,}; is it the right file?")
        return file.read()


def check_regular(path: str | Path) -> None:
    """Check that a path, if it exists, is no named pipe or the like, which would be waited for.

    Raises:
        ValueError: If it is one.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return  # reported by whatever opens it
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError(f"{path}: {_not_regular(mode)}")


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a named pipe is opened at once rather than when something writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _not_regular(mode: int) -> str:
    kinds = {stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFDIR: "folder"}
    advice = "name a file" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "remove it, or copy its content into a file"
    return f"expected a file, got a {kinds.get(stat.S_IFMT(mode), 'special file')}; {advice}"
