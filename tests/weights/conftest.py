"""A local web server that can close the connection early, or refuse ranges or requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Site:
    """Content and behavior of the server, and the requests it received.

    Attributes:
        content: The file.
        cut_after: Bytes that each of the next responses sends before the connection closes; empty: all.
        ranges: Whether it supports ranges.
        refuse: HTTP status with which every request is refused, or 0.
        requests: The ``Range`` header of each request, or "".
    """

    url: str = ""
    content: bytes = b""
    cut_after: list[int] = field(default_factory=list)
    ranges: bool = True
    refuse: int = 0
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    state = Site(content=bytes(range(256)) * 4096)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.headers.get("Range", ""))
            if state.refuse:
                self.send_error(state.refuse)
                return
            start = int(state.requests[-1].removeprefix("bytes=").rstrip("-") or 0) if state.ranges else 0
            if start >= len(state.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.content)}")
                self.end_headers()
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cut_after.pop(0)] if state.cut_after else body)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/weights-00000000.pth"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
