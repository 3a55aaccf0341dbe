"""Listing of the non-hidden files in and below a folder, with links followed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def visible(paths: Iterable[Path]) -> list[Path]:
    """Return the paths that are not hidden, sorted; macOS adds a ``._name`` for each file that it copies to other disks."""
    return sorted(path for path in paths if not path.name.startswith("."))


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all files in and below a folder, in no particular order, except hidden ones such as ``.ipynb_checkpoints``.

    Links to folders are followed, which neither ``os.walk`` nor ``Path.rglob`` does by itself. Each folder is visited once: under its
    own path if that is below ``folder``, so that labels next to it are found. A link to a folder that contains ``folder`` would be
    a cycle and is skipped.
    """
    root, visited, tops = os.path.realpath(folder), set(), [str(folder)]
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
            yield from (Path(parent, name) for name in names if not name.startswith("."))
        tops = [link for link in sorted(links) if not _contains(os.path.realpath(link), root)]


def _contains(folder: str, path: str) -> bool:
    return os.path.join(path, "").startswith(os.path.join(folder, ""))


def _is_link(path: str) -> bool:
    """Return whether a path in a resolved folder is a link; unlike ``islink``, this includes junctions under Windows."""
    return os.path.realpath(path) != path
