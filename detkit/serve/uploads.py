"""Receiving the body of a request: its size and time are limited while it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request

from detkit.serve.errors import ApiError, ClientGone, Problem, repeated, unavailable


class UploadMemory:
    """Memory of all bodies that are held at a time.

    Args:
        limit: Most bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0

    @contextmanager
    def hold(self) -> Iterator[UploadHold]:
        """Yield an account for the body of one request; what it holds is returned at the end of the block."""
        hold = UploadHold(self)
        try:
            yield hold
        finally:
            self.used -= hold.used


class UploadHold:
    """The share of one request of an :class:`UploadMemory`."""

    def __init__(self, memory: UploadMemory) -> None:
        self._memory, self.used = memory, 0

    def add(self, count: int) -> None:
        """Take more bytes.

        Raises:
            ApiError: If all bodies together are too large.
        """
        if self._memory.used + count > self._memory.limit:
            raise unavailable("overloaded", "the server is receiving too many large bodies at the same time")
        self._memory.used += count
        self.used += count


async def read_body(request: Request, max_bytes: int, deadline: float, hold: UploadHold) -> bytes:
    """Return the body of a request.

    Args:
        request: The request.
        max_bytes: Largest body.
        deadline: Time of the event loop at which the body must be complete.
        hold: Account of the received bytes.

    Raises:
        ApiError: If the body is too large, too slow or compressed, or the server holds too many bodies.
        ClientGone: If the client closed the connection.
    """
    _check_headers(request, max_bytes)
    chunks: list[bytes] = []
    more, size = True, 0
    try:
        async with asyncio.timeout_at(deadline):
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk, more = message.get("body", b""), message.get("more_body", False)
                size += len(chunk)
                if size > max_bytes:
                    raise _too_large(max_bytes)
                hold.add(len(chunk))
                chunks.append(chunk)
    except TimeoutError:
        message_text = f"the body was not complete in time: {size:,} bytes were received"
        raise ApiError(Problem(408, "upload_timeout", message_text, "a faster upload, or a smaller image")) from None
    return b"".join(chunks)


def _check_headers(request: Request, max_bytes: int) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise ApiError(Problem(415, "unsupported_encoding", f"Content-Encoding {repeated(encoding)} is not supported", "no compression"))
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(Problem(413, "too_large", "the body of the request is too large", f"at most {max_bytes:,} bytes"))
