"""Files at addresses, read piece by piece, from any position."""

from __future__ import annotations

import io
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from detkit.data.live.address import Address
from detkit.data.live.backing_off import BackingOff
from detkit.data.live.request import Answer, request

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER = 1 << 16
"""Bytes that are read at a time."""
_SKIP = 1 << 20
"""Bytes up to which the connection reads on to a later position, which is faster than another request."""


class RemoteFile(io.RawIOBase):
    """The content of an address as a file that can be read and positioned.

    Positions are reached by requests for a range of bytes; of a server that has none, the content is read from its beginning again. A lost
    connection is made again, and reading goes on where it stopped.

    Args:
        address: The address.
        size: Number of bytes.
        backing_off: The waits before a lost connection is made again.
        answer: An answer of which nothing was read; None: a new request is made.
    """

    def __init__(self, address: Address, size: int, backing_off: BackingOff, answer: Answer | None = None) -> None:
        super().__init__()
        self._address, self._size, self._backing_off = address, size, backing_off
        self._answer = answer
        self._at = 0
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position; the request for it is made when something is read there."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read some bytes at the position, and return their number, 0 at the end.

        Raises:
            ConnectionError: If the connection is lost for too long, or the content of the address has changed.
        """
        view = memoryview(buffer).cast("B")
        while self._position < self._size and len(view):
            try:
                data = self._read(len(view))
                if not data:
                    raise ConnectionError(f"the file ended after {self._position:,} of {self._size:,} bytes")
            except OSError as error:
                self._drop()
                if self._backing_off.stopped:
                    raise
                self._backing_off.wait(error)
                continue
            self._backing_off.arrived()
            view[: len(data)] = data
            self._at += len(data)
            self._position += len(data)
            return len(data)
        return 0

    def interrupt(self) -> None:
        """Let a thread that reads end soon, with an error."""
        self._backing_off.stop()
        answer = self._answer
        if answer is not None:
            answer.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._drop()
        super().close()

    def _read(self, size: int) -> bytes:
        if self._answer is not None and not 0 <= self._position - self._at <= _SKIP:
            self._drop()
        answer = self._ask() if self._answer is None else self._answer
        while self._at < self._position:
            skipped = answer.read(min(BUFFER, self._position - self._at))
            if not skipped:
                raise ConnectionError(f"the file ended after {self._at:,} of {self._size:,} bytes")
            self._at += len(skipped)
        return answer.read(size)

    def _ask(self) -> Answer:
        """Request the content from the position on."""
        answer = request(self._address, {"Range": f"bytes={self._position}-"} if self._position else {})
        part = re.match(r"bytes (\d+)-\d+/(\d+|\*)", str(answer.headers.get("Content-Range", "")))
        if answer.status == 206 and part:
            at, total = int(part[1]), self._size if part[2] == "*" else int(part[2])
        else:
            at, total = 0, answer.length or 0
        if total != self._size or at > self._position:
            answer.close()
            raise ConnectionError(f"the file at the address has changed from {self._size:,} to {total:,} bytes")
        self._answer, self._at = answer, at
        return answer

    def _drop(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            with suppress(OSError):
                answer.close()


class AnswerFile(io.RawIOBase):
    """The content of an answer, read once.

    Args:
        answer: An answer of which nothing was read.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read some bytes, and return their number, 0 at the end.

        Raises:
            OSError: If the connection is cut, or nothing arrives in time.
        """
        view = memoryview(buffer).cast("B")
        data = self._answer.read(len(view))
        view[: len(data)] = data
        return len(data)

    def interrupt(self) -> None:
        """Let a thread that reads end soon, with an error."""
        self._answer.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._answer.close()
        super().close()
