"""Cameras and RTSP streams. There is neither on a test machine: a fake capture stands for that of OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from detkit.data.live.open import open_source


class FakeCapture:
    """Opens in the order of ``scripts``: a list of frames, ``None`` for damaged ones, or a failure to open."""

    scripts: list[list[int | None] | None] = []  # noqa: RUF012
    made: list[FakeCapture] = []  # noqa: RUF012

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.released = False
        self.properties: dict[int, float] = {}
        self.frames = FakeCapture.scripts.pop(0) if FakeCapture.scripts else None
        FakeCapture.made.append(self)

    def isOpened(self) -> bool:
        return self.frames is not None

    def set(self, key: int, value: float) -> bool:
        self.properties[key] = value
        return True

    def grab(self) -> bool:
        if not self.frames:
            return False
        self.current = self.frames.pop(0)
        return True

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        if self.current is None:
            return False, None
        return True, np.full((4, 6, 3), (self.current, 0, 200), np.uint8)  # BGR

    def release(self) -> None:
        self.released = True


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr(FakeCapture, "made", [])


def test_a_camera_that_is_unplugged_and_plugged_in(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(FakeCapture, "scripts", [[0, None, 2], None, [3, 4]])
    source = open_source("1", reconnect_seconds=0.3)
    assert (source.name, source.stem, source.live) == ("camera 1", "camera1", True)
    assert not FakeCapture.made  # opened when its frames are read
    frames: list[tuple[int, list[int]]] = []
    with pytest.raises(ConnectionError, match="camera 1: nothing arrived for 0 s"):
        frames.extend((frame.index, frame.pixels[0, 0].tolist()) for frame in source.frames())
    assert frames == [(0, [200, 0, 0]), (2, [200, 0, 2]), (3, [200, 0, 3]), (4, [200, 0, 4])]
    assert source.lost == 1
    assert FakeCapture.made[0].arguments == (1,)
    assert FakeCapture.made[0].properties == {cv2.CAP_PROP_BUFFERSIZE: 1}
    assert all(capture.released for capture in FakeCapture.made)
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [
        "camera 1: the connection is lost",
        "camera 1: connected again after 0 s",
        "camera 1: the connection is lost",
    ]


def test_rtsp_has_time_limits_and_hides_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "scripts", [[0, 1, 2], [3]])
    source = open_source("rtsp://bob:p%40ss@10.0.0.5:554/stream1?x=1", reconnect_seconds=0.2)
    assert (source.name, source.stem) == ("rtsp://***@10.0.0.5:554/stream1?x=1", "stream1")
    with pytest.raises(ConnectionError) as caught:
        assert [frame.index for frame in source.frames(2)] == [0, 2]
    assert "p%40ss" not in str(caught.value)
    address, backend, parameters = FakeCapture.made[0].arguments
    assert (address, backend) == ("rtsp://bob:p%40ss@10.0.0.5:554/stream1?x=1", cv2.CAP_FFMPEG)
    limits = dict(zip(parameters[::2], parameters[1::2], strict=True))
    assert limits == {cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC: 10_000}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("7", "camera 7: it cannot be opened; check that it is connected, not in use, and that 0 is the first"),
        ("rtsp://bob:secret@cam/1", r"rtsp://\*\*\*@cam/1: the stream cannot be opened; check the address, the user and the password"),
    ],
)
def test_what_cannot_be_opened_is_an_error_at_once(word: str, message: str) -> None:
    with pytest.raises(ConnectionError, match=message):
        list(open_source(word).frames())
    assert len(FakeCapture.made) == 1
    assert FakeCapture.made[0].released


def test_frames_of_hostile_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "scripts", [[0]])
    monkeypatch.setenv("DETKIT_MAX_PIXELS", "20")
    source = open_source("0", reconnect_seconds=0)
    with pytest.raises(ConnectionError, match="the connection is lost"):
        list(source.frames())
    assert source.lost == 1
