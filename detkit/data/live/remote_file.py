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

    Errors are kept in :attr:`error`, and reading ends there, because the decoder that calls :meth:`readinto` cannot pass them on.

    Args:
        address: The address.
        size: Number of bytes; None: unknown, the content is read once from its beginning, and nothing is read again.
        backing_off: The waits before a lost connection is made again.
        answer: An answer of which nothing was read; None: a new request is made.
    """

    def __init__(self, address: Address, size: int | None, backing_off: BackingOff, answer: Answer | None = None) -> None:
        super().__init__()
        self.error: OSError | None = None
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
        end = self._size or 0
        self._position = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: end}[whence] + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read some bytes at the position, and return their number, 0 at the end or after an error."""
        view = memoryview(buffer).cast("B")
        while self.error is None and (self._size is None or self._position < self._size):
            try:
                data = self._read(len(view))
                if not data and self._size is not None:
                    raise ConnectionError(f"the file ended after {self._position:,} of {self._size:,} bytes")
            except OSError as error:
                self._recover(error)
                continue
            self._backing_off.arrived()
            view[: len(data)] = data
            self._at += len(data)
            self._position += len(data)
            return len(data)
        return 0

    def interrupt(self) -> None:
        """Let a thread that reads end soon."""
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
        if self._answer is None:
            self._ask()
        assert self._answer is not None
        while self._at < self._position:
            skipped = self._answer.read(min(BUFFER, self._position - self._at))
            if not skipped:
                raise ConnectionError(f"the file ended after {self._at:,} bytes")
            self._at += len(skipped)
        return self._answer.read(size)

    def _ask(self) -> None:
        """Request the content from the position on."""
        ranged = {"Range": f"bytes={self._position}-"} if self._position else {}
        self._answer = request(self._address, ranged)
        match = re.match(r"bytes (\d+)-\d+/(\d+|\*)", str(self._answer.headers.get("Content-Range", "")))
        self._at = int(match[1]) if self._answer.status == 206 and match else 0
        total = int(match[2]) if match and match[2] != "*" else self._answer.length if not self._at else self._size
        if total != self._size or self._at > self._position:
            self._drop()
            raise ConnectionError("the file at the address has changed")

    def _recover(self, error: OSError) -> None:
        """Wait before another attempt; keep the error if there will be none."""
        self._drop()
        if self._backing_off.stopped or self._size is None:
            self.error = error
        else:
            try:
                self._backing_off.wait(error)
            except OSError as final:
                self.error = final

    def _drop(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            with suppress(OSError):
                answer.close()
