"""Object stores on loopback, for tests: S3 by moto, and an HTTP server that fails as a test demands."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

BUCKET = "bucket"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1"}


@dataclass
class S3:
    """An S3 server: its address, and the path and the bytes of each answer to a GET request so far."""

    url: str
    requests: list[tuple[str, int]] = field(default_factory=list)

    def read_below(self, prefix: str) -> int:
        """Return the bytes that were read of paths that begin with a prefix."""
        return sum(length for path, length in self.requests if path.startswith(prefix))

    def upload(self, folder: Path, prefix: str) -> str:
        """Upload the files of a folder, and return its address."""
        import s3fs

        s3 = s3fs.S3FileSystem(endpoint_url=self.url)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                s3.put_file(str(path), f"{BUCKET}/{prefix}/{path.relative_to(folder).as_posix()}")
        self.requests.clear()
        return f"s3://{BUCKET}/{prefix}"


@contextmanager
def s3_server() -> Iterator[S3]:
    """Run moto's S3 with an empty bucket; the environment names it to every process."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server")
    import s3fs
    from werkzeug.serving import make_server

    store = S3("")
    application = server.DomainDispatcherApplication(server.create_backend_app)

    def counted(environ: dict[str, Any], start: Callable[..., Any]) -> Iterator[bytes]:
        for part in application(environ, start):
            if environ["REQUEST_METHOD"] == "GET":
                store.requests.append((environ["PATH_INFO"], len(part)))
            yield part

    listener = make_server("127.0.0.1", 0, counted, threaded=True)
    store.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": store.url}).items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem(endpoint_url=store.url).mkdir(BUCKET)
        yield store
        s3fs.S3FileSystem.clear_instance_cache()
    listener.shutdown()
    thread.join()


@dataclass
class FaultyServer:
    """An HTTP server over a folder, of which some answers fail.

    Attributes:
        folder: The folder.
        url: Its address.
        faults: What goes wrong with the next answers to GET requests, one each: ``error``, ``slow``, ``cut``, ``short``, ``wrong``,
            ``whole`` (ranges are ignored) or ``""``; when none is left, answers are right.
        requests: Path and range of each GET request.
        repeats: Whether the last fault is never used up.
    """

    folder: Path
    url: str = ""
    faults: list[str] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    repeats: bool = False

    def next_fault(self) -> str:
        """Return what goes wrong with this answer."""
        if self.repeats and len(self.faults) == 1:
            return self.faults[0]
        return self.faults.pop(0) if self.faults else ""


@contextmanager
def faulty_server(folder: Path) -> Iterator[FaultyServer]:
    """Serve a folder on loopback."""
    pytest.importorskip("aiohttp")
    server = FaultyServer(folder)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    listener.daemon_threads = True
    server.url = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def _handler(server: FaultyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            server.requests.append((self.path, self.headers.get("Range", "")))
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            path = server.folder / self.path.lstrip("/").partition("?")[0]
            fault = server.next_fault() if body else ""
            if not path.is_file():
                return self._send(404, b"", body)
            data, wanted = path.read_bytes(), re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if wanted and fault != "whole":
                data = data[int(wanted[1]) : int(wanted[2]) + 1]
            if fault == "error":
                return self._send(500, b"", body)
            if fault == "slow":
                time.sleep(3)
            if fault == "wrong":
                data = bytes([data[0] ^ 1]) + data[1:]
            if fault == "short":
                data = data[:-1]
            if fault == "cut":
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
                return None
            return self._send(206 if wanted else 200, data, body)

        def _send(self, status: int, data: bytes, body: bool) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                try:
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True

    return Handler
