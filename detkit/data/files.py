"""Which files in and below a folder count: those that are not hidden, behind links too."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def visible(paths: Iterable[Path]) -> list[Path]:
    """Those whose names do not begin with a dot, sorted; macOS puts a ``._name`` beside each file that it copies to other disks."""
    return sorted(path for path in paths if not path.name.startswith("."))


def files_below(folder: Path) -> Iterator[Path]:
    """All files in and below a folder, in no order that holds; what is hidden, such as ``.ipynb_checkpoints``, is passed over.

    Links to folders are followed, which neither ``os.walk`` nor ``Path.rglob`` does by itself. Each folder comes once: under its own
    name where that lies below, so that labels are found beside it. A link to a folder that holds ``folder`` leads in a circle and is
    left out.
    """
    root, seen, tops = os.path.realpath(folder), set(), [str(folder)]
    while tops:
        links: list[str] = []
        for parent, folders, names in (row for top in tops for row in os.walk(top)):
            real = os.path.realpath(parent)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = [name for name in folders if not name.startswith(".")]
            links += [os.path.join(parent, name) for name in folders if _is_link(os.path.join(real, name))]
            yield from (Path(parent, name) for name in names if not name.startswith("."))
        tops = [link for link in sorted(links) if not _holds(os.path.realpath(link), root)]


def _holds(folder: str, path: str) -> bool:
    return os.path.join(path, "").startswith(os.path.join(folder, ""))


def _is_link(path: str) -> bool:
    """Of a path whose folder is real: whether it leads elsewhere, as Windows' junctions do too, which ``islink`` does not know."""
    return os.path.realpath(path) != path
