"""The parts of a ``multipart/x-mixed-replace`` stream, as cameras and servers of MJPEG send it, read with tolerance for their mistakes."""

from __future__ import annotations

import time
from collections.abc import Callable

MAX_PART_BYTES = 1 << 26
"""Longest part; longer ones are skipped. A JPEG of 30 megapixels at the best quality is shorter."""
PART_SECONDS = 30.0
"""Longest time in which a part has to be complete."""
_MAX_LINE = 8192
_MAX_LINES = 64
_CHUNK = 1 << 16
_JPEG_END = b"\xff\xd9"


class PartError(ConnectionError):
    """The stream cannot be read any further: it is cut, too slow, or no multipart stream."""


class Multipart:
    """Parts of a stream.

    Tolerated are parts without a length or with a wrong one, boundaries with more or fewer dashes than stated, a boundary that the
    headers do not state, line feeds without carriage returns, and garbage between parts.

    Args:
        read: Returns the next bytes, at most as many as asked for, as soon as there are some; none at the end.
        boundary: Boundary as the headers of the answer state it, quotes removed; empty: that of the first line with dashes.

    Attributes:
        closed: Whether the stream has ended with its closing boundary.
    """

    def __init__(self, read: Callable[[int], bytes], boundary: str = "") -> None:
        self._read = read
        self._boundary = boundary.strip().strip("-").encode("latin-1", "replace")
        self._data = bytearray()
        self._deadline = 0.0
        self._at_boundary = False
        self.closed = False

    def next(self) -> bytes | None:
        """Return the content of the next part, or None at the end of the stream; empty for a part that is too long.

        Raises:
            PartError: If the stream is cut within a part, or too slow, or no boundary comes.
            ConnectionError, TimeoutError: As ``read`` raises them.
        """
        self._deadline = time.monotonic() + PART_SECONDS
        if not self._at_boundary and not self._skip_to_boundary():
            return None
        self._at_boundary = False
        if self.closed:
            return None
        length = self._headers()
        return self._content(length)

    def _skip_to_boundary(self) -> bool:
        """Read lines until a boundary, and return whether there was one before the end of the stream."""
        skipped = 0
        while skipped <= MAX_PART_BYTES:
            line = self._line()
            if line is None:
                return False
            skipped += len(line)
            if self._is_boundary(line.strip()):
                return True
        raise PartError(f"no boundary within {MAX_PART_BYTES:,} bytes; it is no multipart stream")

    def _is_boundary(self, line: bytes) -> bool:
        """Return whether a line is a boundary; take note if it is the closing one."""
        if not line.startswith(b"--"):
            return False
        token = line.strip(b"-")
        if not self._boundary:
            self._boundary = token
        if token != self._boundary:
            return False
        self.closed = len(line) - len(line.rstrip(b"-")) >= 2
        return True

    def _headers(self) -> int | None:
        """Read the headers of a part, and return its stated length."""
        length = None
        for _ in range(_MAX_LINES):
            line = self._line()
            if line is None:
                raise PartError("the stream was cut in the headers of a part")
            line = line.strip()
            if not line:
                return length
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                length = int(value.strip()[:20])
        raise PartError(f"a part has more than {_MAX_LINES} headers; it is no stream of images")

    def _content(self, length: int | None) -> bytes:
        """Read the content of a part, up to its stated length if a boundary follows there, or else up to the next boundary."""
        if length is not None and length <= MAX_PART_BYTES:
            self._fill(length)
            whole = len(self._data) >= length and self._data.endswith(_JPEG_END, 0, length)
            if whole or self._find_boundary(0, length) < 0:
                if len(self._data) < length:
                    raise PartError("the stream was cut within a part")
                content = bytes(self._data[:length])
                del self._data[:length]
                return content
        return self._until_boundary()

    def _until_boundary(self) -> bytes:
        """Return what comes before the next boundary, without its line break; empty if it is too long."""
        start, dropped = 0, False
        while True:
            mark = self._find_boundary(start, len(self._data))
            if mark >= 0:
                content = b"" if dropped else bytes(self._data[:mark])
                del self._data[:mark]
                return content.removesuffix(b"\n").removesuffix(b"\r")
            start = max(0, len(self._data) - len(self._boundary) - 8)
            if len(self._data) > MAX_PART_BYTES:
                dropped = True
                del self._data[:start]
                start = 0
            if not self._more():
                raise PartError("the stream was cut within a part")

    def _find_boundary(self, start: int, end: int) -> int:
        """Return where the line of a boundary begins, with its dashes, -1 if it is not there."""
        if not self._boundary:
            return -1
        mark = self._data.find(b"--" + self._boundary, start, end)
        while mark > 0 and self._data[mark - 1 : mark] == b"-":
            mark -= 1
        return mark

    def _line(self) -> bytes | None:
        """Return the next line, or its first bytes if it is very long; None at the end of the stream."""
        start = 0
        while (mark := self._data.find(b"\n", start)) < 0:
            start = len(self._data)
            if start > _MAX_LINE:
                mark = start - 1
                break
            if not self._more():
                if not self._data:
                    return None
                mark = len(self._data) - 1
                break
        line = bytes(self._data[: mark + 1])
        del self._data[: mark + 1]
        return line

    def _fill(self, length: int) -> None:
        while len(self._data) < length and self._more():
            pass

    def _more(self) -> bool:
        """Read some bytes; return False at the end of the stream."""
        if time.monotonic() > self._deadline:
            raise PartError(f"no complete part within {PART_SECONDS:g} s")
        data = self._read(_CHUNK)
        self._data += data
        return bool(data)
