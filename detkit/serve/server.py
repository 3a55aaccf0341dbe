"""Running the application: sockets, signals, and a stop that answers what was accepted."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from detkit.serve.app import create_app
from detkit.serve.service import Service

_ABANDON = 0.8
"""Fraction of the grace time after which requests without a result are answered with 503."""
_BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, and does not listen yet.

    Args:
        host: Name or address.
        port: Number of the port; 0: a free one.

    Raises:
        OSError: If the address is unknown, in use, or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(family, kind, protocol)
        if sys.platform != "win32":  # there it would let two servers share the port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"--host {host} --port {port}: the address cannot be used ({reason}); give another --port, or 0 for a free one"
        ) from None
    return bound


def address_of(bound: socket.socket) -> str:
    """Return the address of a socket as a URL."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(bound: socket.socket) -> bool:
    """Return whether only programs on this machine reach a socket."""
    return ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback


def build(service: Service, started: Callable[[], None] = lambda: None, *, log_requests: bool = False) -> uvicorn.Server:
    """Return a server; :func:`run` runs it until SIGINT or SIGTERM, or until its ``should_exit`` is set.

    Args:
        service: The models and settings.
        started: Called when the server accepts connections.
        log_requests: Whether every request is logged.
    """
    settings = service.settings
    logging.getLogger("uvicorn.access").setLevel(logging.INFO if log_requests else logging.WARNING)
    config = uvicorn.Config(
        create_app(service),
        http=type("Protocol", (_Protocol,), {"header_seconds": settings.timeout}),
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=log_requests,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=max(1, round(settings.grace)),
    )
    return _Server(config, service, started)


def run(server: uvicorn.Server, bound: socket.socket) -> None:
    """Serve on a socket from :func:`bind`; at the end, requests that were accepted are answered."""
    asyncio.run(server.serve([bound]))


class _Server(uvicorn.Server):
    """A server that ends normally after a signal, and answers all accepted requests before."""

    def __init__(self, config: uvicorn.Config, service: Service, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._on_start = service, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.stopping = True
        asyncio.get_running_loop().call_later(self._service.settings.grace * _ABANDON, self._abandon)
        await super().shutdown(sockets)

    def _abandon(self) -> None:
        self._service.abandoned = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals inside the block, and not once more after it, as the base class does."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


class _Protocol(H11Protocol):
    """HTTP/1.1 with a limit on the time of a request's headers, and JSON for requests that are no HTTP."""

    header_seconds = 30.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._set_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._set_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _set_timer(self) -> None:
        """Start the time of the headers with their first byte; a request that has begun ends it."""
        if not self._is_between_requests():
            self._cancel_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.header_seconds, self._expire)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if self._is_between_requests() and not self.transport.is_closing():
            self._refuse(408, "header_timeout", "the headers of the request were not complete in time")

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no HTTP request."""
        self._refuse(400, "invalid_request", "this is not a valid HTTP request")

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"error": {"code": code, "message": message}}).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
        with contextlib.suppress(h11.LocalProtocolError):  # after a part of an answer nothing can be sent
            for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
