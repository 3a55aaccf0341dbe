"""On-disk cache of proposals, safe for concurrent processes and for killed ones."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import struct
import time
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from detkit.arrays import ImageArray
from detkit.checkpoint.atomic import atomic_write
from detkit.proposals.backends import SearchSettings
from detkit.structures import Proposals

_log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the file format, part of every key."""
KEPT_AFTER_CLEANUP = 0.9
"""Fraction of the budget that is kept when the oldest files are removed, so that cleanup is rare."""
WRITES_PER_SCAN = 64
"""Number of files after which a process also counts the files written by others."""
STALE_SECONDS = 3600.0
"""Age from which a temporary file is considered left over from a killed process."""

_CORRUPTION_ERRORS = (
    *(OSError, ValueError, TypeError, KeyError, EOFError, IndexError, SyntaxError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""Exceptions raised by reading arrays from a corrupt file."""


def cache_key(image: ImageArray, settings: SearchSettings, version: str) -> str:
    """Return the cache key of an image: a hash of its pixels, of the settings and of the backend's version.

    The maximum number and the filters are not part of the key: they are applied to the cached proposals.
    """
    digest = hashlib.blake2b(digest_size=20)
    digest.update(repr((FORMAT, version, settings.mode, settings.seed, image.shape)).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


class ProposalCache:
    """A folder with one file per image and a size budget; the least recently used files are removed first.

    Files are written to a temporary name and renamed. A corrupt file is reported, removed and rebuilt. Processes need no lock: two that
    write the same file write the same content, and a file that another process removed is rebuilt. The budget can be exceeded
    temporarily, by what each process writes between two scans of the folder.

    Args:
        folder: The folder, created when the first file is written.
        megabytes: The budget, in units of 10^6 bytes.

    Raises:
        NotADirectoryError: If ``folder`` is a file.
    """

    def __init__(self, folder: str | Path, megabytes: float) -> None:
        self.folder, self.budget = Path(folder).expanduser(), megabytes * 1e6
        self._bytes: float | None = None
        self._writes = 0
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(f"proposal cache {folder}: expected a folder, got a file; choose another path")

    def get(self, key: str) -> Proposals | None:
        """Return the proposals cached under a key, or None."""
        path = self.path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                proposals = Proposals(torch.from_numpy(arrays["boxes"]), torch.from_numpy(arrays["scores"]))
        except _CORRUPTION_ERRORS as error:
            _log.warning(
                "proposal cache: %s is corrupt (%s); it is deleted and rebuilt", path, " ".join(str(error).split()) or type(error).__name__
            )
            path.unlink(missing_ok=True)
            return None
        with suppress(OSError):  # removed meanwhile, or owned by another user; the content has been read
            os.utime(path)
        return proposals

    def put(self, key: str, proposals: Proposals) -> None:
        """Cache proposals under a key."""
        path = self.path(key)
        with atomic_write(path) as temporary, temporary.open("wb") as handle:
            np.savez_compressed(handle, boxes=proposals.boxes.cpu().numpy(), scores=proposals.scores.cpu().numpy())
        self._writes += 1
        if self._bytes is not None:
            self._bytes += path.stat().st_size if path.exists() else 0
        if self._bytes is None or self._bytes > self.budget or self._writes >= WRITES_PER_SCAN:
            self._bytes, self._writes = self._clean_up(), 0

    def path(self, key: str) -> Path:
        """Return the file of a key."""
        return self.folder / key[:2] / f"{key}.npz"

    def _clean_up(self) -> float:
        """Remove the oldest files if the budget is exceeded; return the remaining size in bytes."""
        files = []
        for path in self.folder.glob("*/*"):
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            if path.suffix == ".npz":
                files.append((state.st_mtime_ns, state.st_size, path))
            elif path.suffix == ".tmp" and time.time() - state.st_mtime > STALE_SECONDS:
                path.unlink(missing_ok=True)
        total = float(sum(size for _, size, _ in files))
        if total > self.budget:
            for _, size, path in sorted(files):
                if total <= self.budget * KEPT_AFTER_CLEANUP:
                    break
                path.unlink(missing_ok=True)
                total -= size
        return total
