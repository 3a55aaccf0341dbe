"""What happens around every request: counting, the answer to unforeseen errors, and reading the rest of a refused body."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detkit.serve.errors import Problem, problem_response
from detkit.serve.service import Service

PATHS = frozenset({"/", "/v1/detect", "/v1/model", "/v1/models", "/health", "/ready", "/metrics", "/openapi.json"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_DRAIN_SECONDS, _DRAIN_BYTES = 5.0, 500_000_000
_log = logging.getLogger(__name__)


class Around:
    """An application with what happens around every request.

    A client that is still sending sees its connection break, and never the answer, if the server answers and closes. So the rest of a
    refused body is read and dropped first, within limits.

    Args:
        app: The application.
        service: Where requests are counted.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        exchange = _Exchange(scope, receive, send)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:
            _log.exception("a request failed")
            if exchange.status:
                raise
            problem = Problem(500, "internal", "the request failed; the log of the server has the reason")
            await problem_response(problem)(scope, exchange.receive, exchange.send)
        finally:
            path = scope["path"] if scope["path"] in PATHS else "other"
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._service.requests.add(method, path, str(exchange.status or 499))
            self._service.request_seconds.observe(time.perf_counter() - start, path)


class _Exchange:
    """A request and its answer.

    Attributes:
        status: Status of the answer; 0 before it starts.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.status = 0
        names = {name for name, _ in scope["headers"]}
        self._complete = not names & {b"content-length", b"transfer-encoding"}
        self._asks_first = b"expect" in names
        self._received = False

    async def receive(self) -> Message:
        self._received = True
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._complete = True
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if not self._complete:
                await self._drain()
            if not self._complete:
                message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
        await self._send(message)

    async def _drain(self) -> None:
        """Read and drop the rest of the body, unless the client waits for permission to send it, or was too slow already."""
        if self.status == 408 or (self._asks_first and not self._received):
            return
        dropped = 0
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not self._complete and dropped < _DRAIN_BYTES:
                    dropped += len((await self.receive()).get("body", b""))
        except TimeoutError:
            pass
