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
            ValueError: If the member is too large for the format, or its name is too long.
        """
        start = self.bytes + BLOCK
        self._write(b"".join((_header(name, len(data)), data, bytes(-len(data) % BLOCK))))
        return start

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.bytes += len(data)


_BLANK = tarfile.TarInfo("")
_BLANK.mode = 0o644
_TEMPLATE = _BLANK.tobuf(tarfile.USTAR_FORMAT)
_NAME, _SIZE, _SUM = slice(0, 100), slice(124, 136), slice(148, 156)
"""Fields of a header: the name, the size and the sum of its bytes, both in octal digits."""
_LARGEST = 8**11


def _header(name: str, size: int) -> bytes:
    """Return the header of a member, a tenth of the time that ``tarfile`` takes for it."""
    encoded = name.encode()
    if len(encoded) > 100 or size >= _LARGEST:
        raise ValueError(f"{name}: {size:,} bytes; a shard holds files of less than {_LARGEST:,} bytes with short names: leave it out")
    header = bytearray(_TEMPLATE)
    header[_NAME] = encoded.ljust(100, b"\0")
    header[_SIZE] = b"%011o\0" % size
    header[_SUM] = b" " * 8
    header[_SUM] = b"%06o\0 " % sum(header)
    return bytes(header)
