"""Videos over HTTP."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from stream_server import CUT, StreamServer, document, stream
from videos import film

from detkit.data.live.open import open_source
from detkit.data.media.video import Video


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "mp4v")])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_video_is_the_same_as_its_file(tmp_path: Path, server: StreamServer, name: str, codec: str, ranges: bool) -> None:
    path = film(tmp_path / name, frames=30, codec=codec)
    source = open_source(server.add(f"/clips/{name}", document(path.read_bytes(), "application/octet-stream", ranges=ranges)))
    local = Video(path)
    assert (source.live, source.stem) == (False, "a")
    assert (source.length, source.frames_per_second) == (local.length, local.frames_per_second)
    pairs = list(zip(source.frames(), local.frames(), strict=True))
    assert len(pairs) == 30
    for remote, frame in pairs:
        assert (remote.index, remote.seconds) == (frame.index, frame.seconds)
        assert np.array_equal(remote.pixels, frame.pixels)
    assert [frame.index for frame in source.frames(7)] == [0, 7, 14, 21, 28]
    assert source.lost == 0


def test_a_lost_connection_goes_on_where_it_stopped(tmp_path: Path, server: StreamServer, caplog: pytest.LogCaptureFixture) -> None:
    path = film(tmp_path / "a.mp4", frames=60, size=(240, 320))
    data = path.read_bytes()
    whole, cut = document(data, "video/mp4", ranges=True), document(data, "video/mp4", ranges=True, cut=len(data) // 3)
    url = server.add("/a.mp4", whole, whole, cut, cut, cut, whole)
    frames = list(open_source(url).frames())
    assert [frame.index for frame in frames] == list(range(60))
    assert all(np.array_equal(frame.pixels, local.pixels) for frame, local in zip(frames, Video(path).frames(), strict=True))
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert 2 <= len(lines) <= 6
    assert all("the connection is lost" in line for line in lines[::2])
    assert all("connected again after" in line for line in lines[1::2])


def test_a_file_that_changes_is_an_error(tmp_path: Path, server: StreamServer) -> None:
    data = film(tmp_path / "a.mp4", frames=60, size=(240, 320)).read_bytes()
    url = server.add("/a.mp4", document(data, "video/mp4", ranges=True), document(data + b"x", "video/mp4", ranges=True))
    with pytest.raises(ConnectionError, match=r"/a.mp4: nothing arrived .* \(the file at the address has changed from"):
        list(open_source(url, reconnect_seconds=0.1).frames())


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "mp4v"), ("a.avi", "MJPG")])
def test_a_video_without_a_length_is_live(tmp_path: Path, server: StreamServer, name: str, codec: str) -> None:
    data = film(tmp_path / name, frames=40, codec=codec).read_bytes()
    source = open_source(server.add("/a", stream(data, content_type="video/x", chunked=True)))
    assert (source.live, source.length) == (True, None)
    assert [frame.index for frame in source.frames()] == list(range(40))
    server.add("/b", stream(data[: len(data) // 2], CUT, content_type="video/x"), stream(data, content_type="video/x"))
    indices = [frame.index for frame in open_source(server.url("/b")).frames()]
    assert indices == list(range(len(indices)))
    assert 45 < len(indices) < 75


def test_an_mp4_without_a_length_has_its_index_at_the_end(tmp_path: Path, server: StreamServer) -> None:
    url = server.add("/a", stream(film(tmp_path / "a.mp4", frames=60, size=(240, 320)).read_bytes(), content_type="video/mp4"))
    with pytest.raises(ValueError, match="ended without a frame; check the address, and download the video if it is a file"):
        list(open_source(url).frames())


def test_interrupting_while_the_network_is_silent(tmp_path: Path, server: StreamServer) -> None:
    data = film(tmp_path / "a.mkv", frames=200, size=(240, 320)).read_bytes()
    released = threading.Event()
    source = open_source(server.add("/a.mkv", document(data, "video/x-matroska")))
    server.add("/a.mkv", stream(data[: len(data) // 2], released, content_type="video/x-matroska", length=len(data)))
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.extend(frame.index for frame in source.frames()))
    thread.start()
    deadline = time.monotonic() + 60
    while thread.is_alive() and time.monotonic() < deadline:
        source.interrupt()  # type: ignore[attr-defined]
        thread.join(0.05)
    assert not thread.is_alive()
    assert len(seen) < 200


def test_an_interruption_by_the_user_while_the_decoder_reads(tmp_path: Path, server: StreamServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not pass through the decoder, which would crash."""
    source = open_source(server.add("/a.mp4", document(film(tmp_path / "a.mp4", frames=60).read_bytes(), "video/mp4", ranges=True)))

    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("detkit.data.live.remote_file.RemoteFile._read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(source.frames())
