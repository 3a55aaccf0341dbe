"""A local server for downloads, and archives built in memory."""

from __future__ import annotations

import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Server:
    """A running server: its address, the folder it serves, and the ranges that were requested."""

    url: str
    folder: Path
    requests: list[str] = field(default_factory=list)


class RangeHandler(SimpleHTTPRequestHandler):
    """Serves files from any byte on, and records the requested ranges."""

    def __init__(self, *args: Any, requests: list[str], **kwargs: Any) -> None:
        self.requests = requests
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        data = Path(self.translate_path(self.path)).read_bytes()
        requested = self.headers.get("Range")
        self.requests.append(requested or "all")
        start = int(requested.removeprefix("bytes=").rstrip("-")) if requested else 0
        self.send_response(206 if requested else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server on this machine."""
    folder = tmp_path / "served"
    folder.mkdir()
    requests: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(RangeHandler, directory=str(folder), requests=requests)) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield Server(f"http://127.0.0.1:{running.server_port}", folder, requests)
        running.shutdown()
        thread.join()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_bytes(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def packers() -> dict[str, Any]:
    """Functions that pack ``{name: content}`` into the bytes of an archive."""
    return {"zip": zip_bytes, "tar": tar_bytes}


def bccd_zip(images: int = 364) -> bytes:
    base = "BCCD_Dataset-master/BCCD/"
    members = {f"{base}Annotations/{n}.xml": b"<annotation/>" for n in range(images)}
    members |= {f"{base}JPEGImages/{n}.jpg": b"jpeg" for n in range(images)}
    return zip_bytes({**members, f"{base}ImageSets/Main/train.txt": b"0\n", "BCCD_Dataset-master/README.md": b"text"})


@pytest.fixture
def serve_bccd(server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that makes the server stand in for GitHub, with a BCCD of the given number of images, and returns the server."""
    from dataclasses import replace

    from detkit.curation.data_sets import DATA_SETS

    def serve(images: int = 364) -> Server:
        (server.folder / "master.zip").write_bytes(bccd_zip(images))
        (archive,) = DATA_SETS["bccd"].archives
        archive = replace(archive, url=f"{server.url}/master.zip")
        monkeypatch.setitem(DATA_SETS, "bccd", replace(DATA_SETS["bccd"], archives=(archive,)))
        return server

    return serve
