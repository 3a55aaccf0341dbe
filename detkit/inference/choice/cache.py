"""The cache of exported files, by the content of the checkpoint and everything that the files depend on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from detkit.about import __version__
from detkit.checkpoint.atomic import write_json
from detkit.checkpoint.folder_lock import FolderInUseError, FolderLock
from detkit.inference.exported.metadata import FORMAT
from detkit.machine import processor
from detkit.weights.fetch import sha256_of
from detkit.weights.local import cache_folder

MAX_BYTES = 4 << 30
"""Size of the cache above which the entries that were not used for longest are removed."""
_LIBRARIES = ("torch", "onnx", "onnxruntime", "openvino")
_RECORD = "entry.json"
_PATIENCE, _PAUSE = 600.0, 0.2
"""Seconds to wait for another process that writes the same entry, and between two looks."""


def exports_folder() -> Path:
    """Return the folder of the cache: ``detkit/exports`` in the user's cache, ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    return cache_folder("detkit/exports")


def entry_of(checkpoint: str, settings: Mapping[str, Any]) -> CacheEntry:
    """Return the entry of a detector.

    Args:
        checkpoint: Digest of the checkpoint.
        settings: What else the exported files depend on, such as the limit on detections.
    """
    facts = {"checkpoint": checkpoint, "settings": dict(settings), "detkit": __version__, "format": FORMAT, "processor": processor()}
    facts |= {"libraries": {name: _version(name) for name in _LIBRARIES}}
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
    return CacheEntry(exports_folder() / key, facts)


class CacheEntry:
    """A folder of the cache with the exported files of one detector.

    Several processes can use it at once: one writes, the others wait for it.

    Args:
        folder: The folder.
        facts: What its name is the digest of, for people.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder, self._facts = folder, facts

    def file(self, name: str, companions: tuple[str, ...], write: Callable[[Path], None]) -> tuple[Path, bool]:
        """Return a file, and whether it was written now; one that is missing or damaged is written.

        Args:
            name: Name of the file.
            companions: Names of files that are written with it.
            write: Writes them.

        Raises:
            OSError: If the cache cannot be written.
        """
        path, names = self.folder / name, (name, *companions)
        if self._intact(names):
            return path, False
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if self._intact(names):  # another process wrote it meanwhile
                return path, False
            for other in names:
                (self.folder / other).unlink(missing_ok=True)
            write(path)
            files = self.record().get("files", {}) | {other: sha256_of(self.folder / other) for other in names}
            self._write({"files": files})
        prune(self.folder.parent, keep=self.folder)
        return path, True

    def record(self) -> dict[str, Any]:
        """Return what the entry records; empty if it is new or damaged."""
        try:
            content = json.loads((self.folder / _RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def remember(self, name: str, value: Any) -> None:
        """Record a value under a name, which must not be ``files``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._write({name: value})

    def _write(self, values: Mapping[str, Any]) -> None:
        write_json(self.folder / _RECORD, {**self.record(), **self._facts, **values})

    def _intact(self, names: tuple[str, ...]) -> bool:
        files = self.record().get("files")
        if not isinstance(files, dict) or not all(name in files for name in names):
            return False
        with suppress(OSError):
            if all(sha256_of(self.folder / name) == files[name] for name in names):
                os.utime(self.folder)  # by which prune sees what is used
                return True
        return False

    @contextmanager
    def _locked(self) -> Iterator[None]:
        end = time.monotonic() + _PATIENCE
        while True:
            lock = FolderLock(self.folder)
            try:
                lock.__enter__()
            except FolderInUseError:
                if time.monotonic() > end:
                    raise
                time.sleep(_PAUSE)
                continue
            try:
                yield
            finally:
                lock.__exit__(None, None, None)
            return


def prune(root: Path, keep: Path, limit: int = MAX_BYTES) -> list[Path]:
    """Remove the entries that were not used for longest, until the cache is not larger than a limit.

    Args:
        root: The folder of the cache.
        keep: An entry that stays.
        limit: The limit in bytes.

    Returns:
        The folders that were removed.
    """
    sizes: dict[Path, int] = {}
    for folder in root.iterdir():
        with suppress(OSError):
            sizes[folder] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    removed = []
    for folder in sorted(sizes, key=_last_use):
        if sum(sizes.values()) <= limit:
            break
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
            del sizes[folder]
            removed.append(folder)
    return removed


def _last_use(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
