"""The cache of what was computed from pixels, by the path, size and time of change of each file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from detkit.curation.duplicates.images import Source
from detkit.data.storage.addresses import is_stored
from detkit.inference.choice.cache import prune
from detkit.weights.local import cache_folder

FORMAT = 1
"""Version of what is computed, part of every key."""
KEY_BYTES = 16
MAX_BYTES = 2 << 30
"""Size of the caches of all data sets, above which those that were not used for longest are removed."""


@dataclass(frozen=True)
class PixelCache:
    """A folder with what was computed from the images of one data set.

    Attributes:
        folder: The folder.
    """

    folder: Path

    @property
    def images(self) -> Path:
        """The file of images."""
        return self.folder / "images" / "rows.bin"

    @property
    def pairs(self) -> Path:
        """The file of pairs that were compared."""
        return self.folder / "pairs" / "rows.bin"

    @classmethod
    def of(cls, name: str, root: Path | None = None) -> PixelCache:
        """Return the cache of a data set: a folder in ``detkit/pixels`` in the user's cache, named by the path of the data.

        Args:
            name: Path of the data.
            root: The folder of all caches, instead of that in the user's cache.
        """
        key = hashlib.blake2b(os.path.abspath(name).encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
        return cls((cache_folder("detkit/pixels") if root is None else root) / key)

    def clean_up(self) -> None:
        """Mark the cache as used, and remove others if all are too large."""
        with suppress(OSError):
            os.utime(self.folder)
            prune(self.folder.parent, keep=self.folder, limit=MAX_BYTES)


def source_keys(sources: Sequence[Source]) -> list[bytes]:
    """Return the key of each image, which differs if its file changed; empty if there is no such file."""
    states: dict[str, str] = {}
    for path, _ in sources:
        if path not in states:
            states[path] = _state(path)
    return [digest(f"{states[path]} {window}".encode("utf-8", "replace")) if states[path] else b"" for path, window in sources]


def digest(content: bytes | memoryview) -> bytes:
    """Return a digest of ``KEY_BYTES`` bytes."""
    return hashlib.blake2b(content, digest_size=KEY_BYTES).digest()


def _state(path: str) -> str:
    """Return the path, size and time of change of a file; empty if there is none."""
    if is_stored(path):  # the path of a member of a shard has its digest
        return repr((FORMAT, path))
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return ""
    return repr((FORMAT, os.path.abspath(path), state.st_size, state.st_mtime_ns))
