"""An HTTP server on loopback whose answers follow scripts: MJPEG streams, images and videos, with faults.

    with StreamServer() as server:
        server.add("/camera", stream(*mjpeg(20), CUT), stream(*mjpeg(20), END))
        frames = list(open_source(server.url("/camera")).frames())

``server.add(path, answer, answer, ...)`` names the answers to the first, second, ... request of a path; the last one is repeated. The paths
and headers of all requests are in ``server.requests``; ``server.url(path, "user:password")`` is an address of the server.

Answers:
    stream(*steps, boundary=..., chunked=..., length=...)   a multipart answer; or of another ``content_type``
    document(data, content_type, ranges=..., cut=...)       a file; ``ranges``: positions can be asked for; ``cut``: bytes before a cut
    status(code)                                            an error
    redirect(location)
    endless_headers()
    login(user, password, answer)                           Basic authentication before another answer

Steps of a stream: bytes that are sent; a number, seconds to wait; a ``threading.Event`` to wait for; a function that is called; ``CUT``,
which resets the connection. ``mjpeg(count)`` gives the parts of ``count`` frames, ``part(data)`` one part, ``jpeg(number)`` an image with
the red rectangle of ``tests/inference/videos.py`` at its ``number``-th place. ``END`` is the closing boundary; without it, a stream just
ends.
"""

from __future__ import annotations

import base64
import io
import math
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from PIL import Image

BOUNDARY = "frame"
END = b"--frame--\r\n"
CUT = None
"""A step that resets the connection."""

Step = bytes | float | threading.Event | Callable[[], object] | None


@dataclass(frozen=True)
class Asked:
    """A request: its path, and its headers with names in lower case."""

    path: str
    headers: Mapping[str, str]


class Exchange:
    """One connection: the request, and methods to answer it."""

    def __init__(self, connection: socket.socket, asked: Asked, closing: threading.Event) -> None:
        self.connection, self.asked, self.closing = connection, asked, closing

    def head(self, code: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {code} {'OK' if code < 300 else 'Error'}", *(f"{name}: {value}" for name, value in headers.items())]
        self.send(("\r\n".join(lines) + "\r\nConnection: close\r\n\r\n").encode())

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def cut(self) -> None:
        """Reset the connection, as a router or a crash does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def wait(self, seconds: float = math.inf, event: threading.Event | None = None) -> None:
        """Wait for a time or an event, but not longer than the server or the client has closed the connection."""
        deadline = time.monotonic() + seconds
        while not self.closing.is_set() and not (event is not None and event.is_set()) and (left := deadline - time.monotonic()) > 0:
            readable, _, _ = select.select([self.connection], [], [], min(left, 0.02))
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionError("closed by the client")


Answer = Callable[[Exchange], None]


class StreamServer:
    """The server; a context manager. Leaving it ends all connections and threads."""

    def __init__(self) -> None:
        self.requests: list[Asked] = []
        self._answers: dict[str, list[Answer]] = {}
        self._closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._port = self._socket.getsockname()[1]

    def __enter__(self) -> StreamServer:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(30)

    def add(self, path: str, *answers: Answer) -> str:
        """Name the answers to the requests of a path, and return its address."""
        self._answers[path] = list(answers)
        return self.url(path)

    def url(self, path: str, credentials: str = "") -> str:
        return f"http://{credentials}{'@' if credentials else ''}127.0.0.1:{self._port}{path}"

    @property
    def open_connections(self) -> int:
        """Number of connections that neither side has closed."""
        with self._lock:
            return len(self._connections)

    def _start(self, target: Callable[..., None], *values: object) -> None:
        thread = threading.Thread(target=target, args=values, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with suppress(OSError):
                asked = _read_request(connection)
                with self._lock:
                    self.requests.append(asked)
                    answers = self._answers.get(asked.path.partition("?")[0], [status(404)])
                    answer = answers.pop(0) if len(answers) > 1 else answers[0]
                answer(Exchange(connection, asked, self._closing))
        finally:
            with self._lock:
                self._connections.discard(connection)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def _read_request(connection: socket.socket) -> Asked:
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        if not received:
            raise ConnectionError("no request")
        data += received
    first, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Asked(first.split(" ")[1], headers)


def stream(
    *steps: Step, content_type: str = "", boundary: str | None = BOUNDARY, chunked: bool = False, length: int | None = None
) -> Answer:
    """Answer with steps; ``boundary`` is that of the header, None for none."""

    def answer(exchange: Exchange) -> None:
        headers = {"Content-Type": content_type or ("multipart/x-mixed-replace" + (f"; boundary={boundary}" if boundary else ""))}
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        if length is not None:
            headers["Content-Length"] = str(length)
        exchange.head(200, headers)
        for step in steps:
            if exchange.closing.is_set():
                return
            if step is CUT:
                exchange.cut()
                return
            if isinstance(step, bytes):
                exchange.send(b"%x\r\n%b\r\n" % (len(step), step) if chunked else step)
            elif isinstance(step, threading.Event):
                exchange.wait(event=step)
            elif callable(step):
                step()
            elif step is not None:
                exchange.wait(step)
        if chunked:
            exchange.send(b"0\r\n\r\n")

    return answer


def document(
    data: bytes, content_type: str = "", *, ranges: bool = False, cut: int | None = None, code: int = 200, length: bool = True
) -> Answer:
    """Answer with a file."""

    def answer(exchange: Exchange) -> None:
        match = re.match(r"bytes=(\d+)-", exchange.asked.headers.get("range", "")) if ranges else None
        start = int(match[1]) if match else 0
        headers = {"Content-Type": content_type} if content_type else {}
        if ranges:
            headers["Accept-Ranges"] = "bytes"
        if match:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if length:
            headers["Content-Length"] = str(len(data) - start)
        exchange.head(206 if match else code, headers)
        exchange.send(data[start:] if cut is None else data[start : start + cut])
        if cut is not None:
            exchange.cut()

    return answer


def status(code: int, content: bytes = b"no") -> Answer:
    return document(content, "text/plain", code=code)


def redirect(location: str, code: int = 302) -> Answer:
    def answer(exchange: Exchange) -> None:
        exchange.head(code, {"Location": location, "Content-Length": "0"})

    return answer


def endless_headers() -> Answer:
    def answer(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n")
        while not exchange.closing.is_set():
            exchange.send(b"X-More: " + b"x" * 1000 + b"\r\n")

    return answer


def login(user: str, password: str, inner: Answer) -> Answer:
    """Answer only requests with Basic authentication."""
    expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def answer(exchange: Exchange) -> None:
        if exchange.asked.headers.get("authorization") == expected:
            inner(exchange)
        else:
            exchange.head(401, {"WWW-Authenticate": 'Basic realm="camera"', "Content-Length": "0"})

    return answer


def jpeg(number: int, size: tuple[int, int] = (60, 80)) -> bytes:
    """Return a JPEG of a red rectangle, three pixels further to the right with each number, up to the right border and then again."""
    pixels = np.zeros((*size, 3), np.uint8)
    left = 3 * number % (size[1] - 20)
    pixels[20:40, left : left + 20, 0] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def part(
    data: bytes, *, boundary: str = BOUNDARY, length: bool | int = True, content_type: str = "image/jpeg", newline: str = "\r\n"
) -> bytes:
    """Return a part of a multipart stream; ``length`` may be a wrong number, or False for none."""
    lines = [f"--{boundary}", f"Content-Type: {content_type}"]
    if length is not False:
        lines.append(f"Content-Length: {len(data) if length is True else length}")
    return (newline.join(lines) + 2 * newline).encode() + data + newline.encode()


def mjpeg(count: int, *broken: int, first: int = 0, **options: object) -> list[bytes]:
    """Return the parts of frames; the content of ``broken`` ones is cut in the middle."""
    images = [jpeg(first + number) for number in range(count)]
    return [part(data[: len(data) // 2] if number in broken else data, **options) for number, data in enumerate(images)]  # type: ignore[arg-type]
