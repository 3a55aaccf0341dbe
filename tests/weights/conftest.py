"""A web server on this machine that breaks off, lies or refuses as told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Site:
    """What the server gives, and what it was asked.

    Attributes:
        content: The file.
        cut_after: How many bytes each coming answer gives before it breaks off; empty: all.
        ranges: Whether it can go on from a place.
        refuse: A status with which every answer is refused, or 0.
        asked: The ``Range`` header of each request, or "".
    """

    url: str = ""
    content: bytes = b""
    cut_after: list[int] = field(default_factory=list)
    ranges: bool = True
    refuse: int = 0
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(content=bytes(range(256)) * 4096)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.headers.get("Range", ""))
            if made.refuse:
                self.send_error(made.refuse)
                return
            start = int(made.asked[-1].removeprefix("bytes=").rstrip("-") or 0) if made.ranges else 0
            if start >= len(made.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(made.content)}")
                self.end_headers()
                return
            body = made.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: made.cut_after.pop(0)] if made.cut_after else body)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/weights-00000000.pth"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
