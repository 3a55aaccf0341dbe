"""Proposals remembered on disk: many processes may read and write, and a killed one leaves nothing broken."""

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
from numpy.typing import NDArray

from detkit.checkpoint.atomic import atomic_write
from detkit.proposals.config import ProposalsConfig
from detkit.structures import Proposals

LOG = logging.getLogger(__name__)

FORMAT = 1
"""Of the files; a part of every key."""
KEPT_ON_CLEANING = 0.9
"""Share of the budget that is left when the oldest files are removed, so that this is rarely done."""
WRITES_BETWEEN_LOOKS = 64
"""After so many files of its own a process counts what others wrote, too."""
STALE_SECONDS = 3600.0
"""A temporary file that was not touched for so long belongs to a process that was killed."""

_DAMAGE = (
    *(OSError, ValueError, TypeError, KeyError, EOFError, IndexError, SyntaxError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What reading arrays out of the bytes of a broken file raises."""


def key_of(image: NDArray[np.uint8], config: ProposalsConfig, version: str) -> str:
    """The name of a image's proposals: a hash of its pixels, of the settings, and of the backend's version.

    The limit and the filters are not in it: they choose from what is remembered.
    """
    digest = hashlib.blake2b(digest_size=20)
    digest.update(repr((FORMAT, version, config.mode, config.seed, image.shape)).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


class ProposalCache:
    """A folder with one file for the proposals of each image, within a budget; what was used longest ago goes first.

    Every file is written beside its place and renamed. A file that cannot be read is told about, removed, and made anew.
    Processes need no lock: two that write the same file write the same, and a file that another one removed is made anew.
    The budget can be exceeded for a moment, by what each process writes between two looks.

    Args:
        folder: Made when the first file is written.
        megabytes: The budget, in units of 10^6 bytes.
    """

    def __init__(self, folder: str | Path, megabytes: float) -> None:
        self.folder, self.budget = Path(folder).expanduser(), megabytes * 1e6
        self._bytes: float | None = None
        self._writes = 0
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(f"proposal cache {folder}: expected a folder, found a file; name another place")

    def get(self, key: str) -> Proposals | None:
        """What is remembered under a key, or None."""
        path = self.path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                found = Proposals(torch.from_numpy(arrays["boxes"]), torch.from_numpy(arrays["scores"]))
        except _DAMAGE as error:
            LOG.warning("proposal cache: %s is damaged (%s); it is made anew", path, " ".join(str(error).split()) or type(error).__name__)
            path.unlink(missing_ok=True)
            return None
        with suppress(OSError):  # removed in the meantime, or not ours to touch: it was read
            os.utime(path)
        return found

    def put(self, key: str, proposals: Proposals) -> None:
        """Remember proposals under a key."""
        path = self.path(key)
        with atomic_write(path) as temporary, temporary.open("wb") as handle:
            np.savez_compressed(handle, boxes=proposals.boxes.cpu().numpy(), scores=proposals.scores.cpu().numpy())
        self._writes += 1
        if self._bytes is not None:
            self._bytes += path.stat().st_size if path.exists() else 0
        if self._bytes is None or self._bytes > self.budget or self._writes >= WRITES_BETWEEN_LOOKS:
            self._bytes, self._writes = self._clean(), 0

    def path(self, key: str) -> Path:
        """The file of a key."""
        return self.folder / key[:2] / f"{key}.npz"

    def _clean(self) -> float:
        """Remove the oldest files if there are too many bytes; gives the bytes that stay."""
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
                if total <= self.budget * KEPT_ON_CLEANING:
                    break
                path.unlink(missing_ok=True)
                total -= size
        return total
