"""Streams over HTTP with faults, and live sources in general."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from stream_server import CUT, END, StreamServer, document, endless_headers, jpeg, login, mjpeg, part, redirect, status, stream

from detkit.arrays import ImageArray
from detkit.data.live import backing_off, request
from detkit.data.live.open import open_address, open_source, read_image_address
from detkit.data.live.stream import LiveStream
from detkit.data.media.images import decode_image
from detkit.data.media.source import Frame, FrameSource


def indices(source: FrameSource, every: int = 1) -> list[int]:
    return [frame.index for frame in source.frames(every)]


def place(frame: Frame) -> int:
    """Return the number of the image in a frame, of ``jpeg(number)``."""
    return round(int(np.argmax(frame.pixels[30, :, 0] > 128)) / 3)


def test_a_clip_with_a_broken_frame(server: StreamServer) -> None:
    source = open_source(server.add("/clip.cgi", stream(*mjpeg(60, 17), END)))
    assert (source.live, source.length, source.stem) == (True, None, "clip")
    frames = list(source.frames())
    assert [frame.index for frame in frames] == [index for index in range(60) if index != 17]
    assert source.lost == 1
    assert len(server.requests) == 1
    assert np.array_equal(frames[3].pixels, decode_image(jpeg(3)))
    assert frames[0].seconds == 0
    assert all(before.seconds <= frame.seconds for before, frame in itertools.pairwise(frames))
    assert indices(source, 5) == [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]
    assert source.lost == 0


def test_cut_late_and_garbage(server: StreamServer, caplog: pytest.LogCaptureFixture) -> None:
    """A stream is cut within a part, late, and has garbage between parts and a part of text: each loss and return is one line."""
    text = part(b"temperature: 21", content_type="text/plain")
    url = server.add(
        "/camera",
        stream(*mjpeg(4), part(jpeg(4))[:300], CUT),
        status(503),
        stream(b"\0garbage\r\n" * 99, *mjpeg(2, first=4), text, 0.3, *mjpeg(2, first=7), CUT),
        stream(*mjpeg(3, first=9), END),
    )
    source = open_source(url)
    frames = list(source.frames())
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert [place(frame) for frame in frames] == [frame.index for frame in frames]
    assert source.lost == 1
    assert frames[6].seconds - frames[5].seconds > 0.25
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 4
    for lost, back in (lines[:2], lines[2:]):
        assert lost.startswith(f"{url}: the connection is lost (")
        assert back.startswith(f"{url}: connected again after ")


@pytest.mark.parametrize(
    ("steps", "chunked", "length", "over"),
    [
        ([*mjpeg(3), END], False, None, True),
        (mjpeg(3), True, None, True),
        (mjpeg(3), False, sum(map(len, mjpeg(3))), True),
        (mjpeg(3), False, None, False),
        (mjpeg(3), False, sum(map(len, mjpeg(4))), False),
        ([*mjpeg(3), CUT], True, None, False),
    ],
)
def test_the_end_that_a_server_states_and_others(
    server: StreamServer, steps: list[bytes | None], chunked: bool, length: int | None, over: bool
) -> None:
    url = server.add("/a", stream(*steps, chunked=chunked, length=length), stream(*mjpeg(2), END))
    assert indices(open_source(url)) == list(range(3 if over else 5))


def test_a_source_ends_after_some_time_without_frames(server: StreamServer, caplog: pytest.LogCaptureFixture) -> None:
    url = server.add("/a", stream(*mjpeg(2), CUT), status(500))
    seen = []
    with pytest.raises(ConnectionError, match=r"/a: nothing arrived for 0 s \(the server answered 500"):
        seen.extend(frame.index for frame in open_source(url, reconnect_seconds=0.4).frames())
    assert seen == [0, 1]
    assert len(server.requests) > 3
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1
    with pytest.raises(ConnectionError, match="the connection is lost"):
        list(open_source(server.add("/b", stream(*mjpeg(2), CUT)), reconnect_seconds=0).frames())
    assert sum(asked.path == "/b" for asked in server.requests) == 1


def test_a_stream_that_stalls_is_connected_again(server: StreamServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "TIMEOUT", 0.3)
    released = threading.Event()
    url = server.add("/a", stream(*mjpeg(2), part(jpeg(2))[:100], released), stream(*mjpeg(2), END))
    assert indices(open_source(url)) == [0, 1, 2, 3]


@pytest.mark.parametrize("started", [True, False])
def test_interrupting_from_another_thread(server: StreamServer, started: bool) -> None:
    released = threading.Event()
    source = open_source(server.add("/a", stream(*mjpeg(1 if started else 0), part(jpeg(2))[:100], released)))
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.extend(indices(source)))
    thread.start()
    deadline = time.monotonic() + 60
    while thread.is_alive() and time.monotonic() < deadline:
        source.interrupt()  # type: ignore[attr-defined]
        thread.join(0.1)
    assert not thread.is_alive()
    assert len(seen) <= 1


def test_closing_an_iteration_closes_the_connection(server: StreamServer) -> None:
    url = server.add("/a", stream(*mjpeg(5), *[part(jpeg(1)), 0.01] * 3000))
    frames = open_source(url).frames()
    assert next(frames).index == 0
    frames.close()  # type: ignore[attr-defined]
    unused = open_source(url)
    del unused
    wait_for(lambda: server.open_connections == 0)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (status(404), FileNotFoundError, "the server answered 404 Error; check the address"),
        (status(500), ConnectionError, "the server answered 500"),
        (status(403), PermissionError, "the server answered 403 Error; check the user and password"),
        (endless_headers(), ConnectionError, "the answer is not valid HTTP"),
        (redirect("file:///etc/passwd"), ConnectionError, "redirects to 'file:///etc/passwd', which is no http or https address"),
        (redirect("/x"), ConnectionError, "the server redirects more than 5 times"),
        (
            document(b"<!DOCTYPE html><p>", "text/html"),
            ValueError,
            r"expected an image, a video or an MJPEG stream \(text/html\), but it is a web",
        ),
        (document(b"", "image/jpeg"), ValueError, "the file is empty"),
        (document(jpeg(1)[:-90], "image/jpeg"), ValueError, "the JPEG is truncated"),
        (document(jpeg(1) * 9, "image/jpeg", cut=900), ConnectionError, "the connection was cut"),
        (document(b"\0\0\0\x20ftypisom" + bytes(99), "video/mp4"), ValueError, "not a readable video"),
    ],
)
def test_errors_name_the_address_without_the_password(
    server: StreamServer, answer: Callable[..., None], error: type[Exception], message: str
) -> None:
    server.add("/x", answer)
    with pytest.raises(error, match=message) as caught:
        open_address(server.url("/x", "bob:secret"))
    assert str(caught.value).startswith(server.url("/x", "***"))
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    wait_for(lambda: server.open_connections == 0)


def test_a_host_that_cannot_be_reached() -> None:
    with StreamServer() as server:
        url = server.url("/a")
    with pytest.raises(ConnectionError, match=r"/a: cannot connect \(Connection refused\); check the address and the network"):
        open_source(url)


def test_images_and_sources_are_not_mixed_up(server: StreamServer) -> None:
    server.add("/old.jpg", redirect("/new"))
    server.add("/new", login("bob", "secret", document(jpeg(3), "application/octet-stream")))
    assert np.array_equal(read_image_address(server.url("/old.jpg", "bob:secret")), decode_image(jpeg(3)))
    with pytest.raises(PermissionError, match="log in with http://USER:PASSWORD@HOST"):
        read_image_address(server.url("/new"))
    with pytest.raises(ValueError, match="expected a video or a stream, got an image"):
        open_source(server.add("/i", document(jpeg(3), "image/jpeg")))
    with pytest.raises(ValueError, match="expected an image, got a video or a stream"):
        read_image_address(server.add("/s", stream(*mjpeg(2), END)))
    with pytest.raises(ValueError, match="expected an address that begins with"):
        open_source("ftp://host/a.mp4")


def test_credentials_stay_with_their_host(server: StreamServer) -> None:
    with StreamServer() as other:
        other.add("/new", login("bob", "secret", document(jpeg(3), "image/jpeg")))
        server.add("/old", redirect(other.url("/new")))
        with pytest.raises(PermissionError):
            read_image_address(server.url("/old", "bob:secret"))
        assert "authorization" not in {name for asked in other.requests for name in asked.headers}


def test_files_that_are_too_long_for_an_image(server: StreamServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETKIT_MAX_PIXELS", "5000")
    data = jpeg(1) + bytes(30_000)
    for length in (True, False):
        with pytest.raises(ValueError, match="the file is too long for an image"):
            read_image_address(server.add("/x", document(data, "image/jpeg", length=length)))
    monkeypatch.setenv("DETKIT_MAX_PIXELS", "4000")
    with pytest.raises(ValueError, match=r"80 x 60|too many pixels"):
        read_image_address(server.add("/x", document(jpeg(1), "image/jpeg")))


class FakeConnection:
    """A connection that gives some frames; then it is lost, or over."""

    def __init__(self, frames: int, over: bool) -> None:
        self.frames, self.over, self.closed = frames, over, False

    def grab(self) -> bool:
        self.frames -= 1
        if self.frames < 0 and not self.over:
            raise ConnectionError("lost")
        return self.frames >= 0

    def retrieve(self) -> ImageArray:
        return np.zeros((2, 2, 3), np.uint8)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def test_waits_grow_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(backing_off, "_FIRST_WAIT", 0.5)
    monkeypatch.setattr(threading.Event, "wait", lambda _event, seconds: waits.append(seconds))
    connections: Iterator[FakeConnection | None] = iter([FakeConnection(1, False), *[None] * 8, FakeConnection(1, True)])

    def connect() -> FakeConnection:
        connection = next(connections)
        if connection is None:
            raise ConnectionError("refused")
        return connection

    assert indices(LiveStream("a", "a", connect)) == [0, 1]
    expected = [0.5, 1, 2, 4, 8, 10, 10, 10, 10]
    assert len(waits) == len(expected)
    assert all(0.75 * base <= wait <= 1.25 * base for wait, base in zip(waits, expected, strict=True))
    assert len({wait / base for wait, base in zip(waits, expected, strict=True)}) > 5


def test_a_first_connection_that_fails_is_no_lost_connection() -> None:
    def connect() -> FakeConnection:
        raise ConnectionError("a: no such camera")

    with pytest.raises(ConnectionError, match="^a: no such camera$"):
        list(LiveStream("a", "a", connect).frames())
    with pytest.raises(ValueError, match="every: expected 1 or more, got 0"):
        list(LiveStream("a", "a", connect).frames(0))
    with pytest.raises(ValueError, match="reconnect_seconds: expected 0 seconds or more, got -1"):
        LiveStream("a", "a", connect, reconnect_seconds=-1)


def test_connections_are_closed() -> None:
    connections = [FakeConnection(2, False), FakeConnection(2, True)]
    waiting = iter(connections)
    assert indices(LiveStream("a", "a", lambda: next(waiting))) == [0, 1, 2, 3]
    assert all(connection.closed for connection in connections)
