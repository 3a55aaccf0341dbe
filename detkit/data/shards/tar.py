"""Tar files in WebDataset's layout, of which the same input gives the same bytes."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from detkit.data.storage.addresses import DIGEST_BYTES

BLOCK = tarfile.BLOCKSIZE
_RECORD = tarfile.RECORDSIZE


class TarWriter:
    """Writes the members of a tar file (POSIX ustar), without times, owners and permissions of the source.

    Args:
        path: The new file.

    Attributes:
        bytes: Length of the file so far.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("wb")
        self._digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self.bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._write(bytes(2 * BLOCK))
            self._write(bytes(-self.bytes % _RECORD))
        self._file.close()

    @property
    def digest(self) -> str:
        """Digest of the bytes so far as hexadecimal digits."""
        return self._digest.hexdigest()

    def add(self, name: str, data: bytes) -> int:
        """Append a member and return the position of its first byte.

        Raises:
            ValueError: If the member is too large for the format, or its name too long.
        """
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        self._write(info.tobuf(tarfile.USTAR_FORMAT))
        start = self.bytes
        self._write(data)
        self._write(bytes(-len(data) % BLOCK))
        return start

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.bytes += len(data)
