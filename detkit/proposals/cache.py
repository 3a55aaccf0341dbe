"""On-disk cache of proposals, safe for threads, concurrent processes and killed ones; nothing that it did not write is removed."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from detkit.arrays import ImageArray
from detkit.checkpoint.atomic import atomic_write, write_text
from detkit.checkpoint.temporary import remove_stale_temporaries
from detkit.npz import read_npz
from detkit.proposals.backends import SearchSettings
from detkit.structures import Proposals

_log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the file format, part of every key."""
KEPT_AFTER_CLEANUP = 0.9
"""Fraction of the budget that is kept when the oldest files are removed, so that cleanup is rare."""
WRITES_PER_SCAN = 64
"""Number of files after which a process also counts the files written by others."""
MAX_BYTES = 64 << 20
"""Largest size of the proposals of one image; three million of them."""
MARKER, MARK = ".detkit-proposals", "Proposals cached by detkit, which removes old ones. Delete the folder to free its space.\n"
"""File that marks a folder as a cache, and its content; without it nothing in the folder is removed."""
_COMMENT = b"detkit proposals"
"""Comment at the end of every file of the cache, by which it is recognized before it is removed."""
_FOLDER = "[0-9a-f][0-9a-f]"
_FILE = re.compile(r"[0-9a-f]{40}\.npz")


def cache_key(image: ImageArray, settings: SearchSettings, version: str) -> str:
    """Return the cache key of an image: a hash of its pixels, of the settings and of the backend's version.

    The maximum number and the filters are not part of the key: they are applied to the cached proposals.
    """
    digest = hashlib.blake2b(digest_size=20)
    digest.update(repr((FORMAT, version, settings.mode, settings.seed, image.shape)).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


class ProposalCache:
    """Folder with one ``.npz`` file of boxes and scores per image, which stays within a budget by removing the least recently used files.

    Files replace existing ones atomically, so readers never see a partial file. Threads and processes need no lock: two that write the
    same file write the same content, and a file that another process removed is rebuilt. The budget can be exceeded temporarily, by what
    each process writes between two scans of the folder.

    A file is removed only if the folder has the marker of a cache, the file is where its name belongs, and its content is the cache's. So a
    folder of somebody's own files stays whole even where it was named by mistake.

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
        """Return the proposals cached under a key; None if there are none, or the file is damaged, which is reported."""
        path = self.path(key)
        try:
            state = path.lstat()
            if not stat.S_ISREG(state.st_mode) or state.st_size > MAX_BYTES:
                raise ValueError(f"expected a regular file of at most {MAX_BYTES:,} bytes")
            proposals = _read(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            _log.warning("proposal cache: %s is corrupt (%s); it is rebuilt", path, error)
            return None
        with suppress(OSError):  # removed meanwhile, or owned by another user; the content has been read
            os.utime(path)
        return proposals

    def put(self, key: str, proposals: Proposals) -> None:
        """Cache proposals under a key.

        Raises:
            OSError: If the file cannot be written.
        """
        path, marker = self.path(key), self.folder / MARKER
        if not marker.exists():
            write_text(marker, MARK)
        with atomic_write(path) as temporary:
            _write(temporary, proposals)
        self._writes += 1
        if self._bytes is not None:
            with suppress(OSError):  # removed meanwhile
                self._bytes += path.stat().st_size
        if self._bytes is None or self._bytes > self.budget or self._writes >= WRITES_PER_SCAN:
            self._bytes, self._writes = self._clean_up(), 0

    def path(self, key: str) -> Path:
        """Return the file of a key."""
        return self.folder / key[:2] / f"{key}.npz"

    def _clean_up(self) -> float:
        """Remove the oldest files if the budget is exceeded; return the remaining size in bytes."""
        files = sorted(self._files())
        total = float(sum(size for _, size, _ in files))
        if not self._is_marked():
            return total
        remove_stale_temporaries(*(path for path in self.folder.glob(_FOLDER) if not path.is_symlink()))
        if total > self.budget:
            for _, size, path in files:
                if total <= self.budget * KEPT_AFTER_CLEANUP:
                    break
                if _is_own(path):
                    with suppress(OSError):  # removed meanwhile, or owned by another user
                        path.unlink()
                    total -= size
        return total

    def _is_marked(self) -> bool:
        try:
            return (self.folder / MARKER).read_text("utf-8") == MARK
        except (OSError, UnicodeDecodeError):
            return False

    def _files(self) -> list[tuple[int, int, Path]]:
        """Return the time of use, size and path of each file whose name and place are those of the cache."""
        files = []
        for path in self.folder.glob(f"{_FOLDER}/*.npz"):
            if not _FILE.fullmatch(path.name) or path.parent.name != path.name[:2] or path.parent.is_symlink():
                continue
            with suppress(OSError):  # removed meanwhile
                state = path.lstat()
                if stat.S_ISREG(state.st_mode):
                    files.append((state.st_mtime_ns, state.st_size, path))
        return files


def _read(content: bytes) -> Proposals:
    """Return the proposals of a file's content.

    Raises:
        ValueError, TypeError: If it is damaged, or the values are no proposals.
    """
    arrays = read_npz(content, largest=MAX_BYTES)
    if set(arrays) != {"boxes", "scores"}:
        raise ValueError(f"expected boxes and scores, got {', '.join(sorted(arrays)) or 'nothing'}")
    proposals = Proposals(torch.from_numpy(arrays["boxes"]), torch.from_numpy(arrays["scores"])).checked(source="proposals")
    if not bool(torch.isfinite(proposals.scores).all()):
        raise ValueError("proposals: expected finite scores")
    return proposals


def _write(path: Path, proposals: Proposals) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = _COMMENT
        for name, values in (("boxes", proposals.boxes), ("scores", proposals.scores)):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(values.cpu().numpy()), allow_pickle=False)


def _is_own(path: Path) -> bool:
    """Return whether a file ends as those that :func:`_write` makes."""
    try:
        with path.open("rb") as handle:
            handle.seek(-len(_COMMENT), os.SEEK_END)
            return handle.read() == _COMMENT
    except OSError:
        return False
