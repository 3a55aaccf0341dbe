"""``detkit detect`` on addresses of images, videos and streams, served on loopback."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bright import image, predictor, saved
from stream_server import CUT, END, StreamServer, document, jpeg, mjpeg, status, stream
from videos import film

import detkit.inference
from detkit.cli.detect.job import DetectJob
from detkit.cli.main import main
from detkit.cli.results.status import FrameStatus
from detkit.data.media.video import Video

NO_LATENCY = ("--max-latency", "1000")
"""No frame is dropped, however slow the machine."""


@pytest.fixture
def server() -> Iterator[StreamServer]:
    with StreamServer() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an image; ``--model bright`` is a detector of bright rectangles."""
    monkeypatch.setattr(detkit.inference, "load", lambda *_, **options: predictor(60, **{**options, "svd": None}))
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, "own.png", image())
    return tmp_path


def detect(*words: str) -> int:
    return main(["detect", "--model", "bright", *words])


def videos() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(Path("a.json").read_text())["videos"]
    return rows


def test_images_at_addresses(folder: Path, server: StreamServer, capsys: pytest.CaptureFixture[str]) -> None:
    first = server.add("/my%20photo.jpg", document(jpeg(3), "image/jpeg")).replace("http://", "http://me:secret@").replace("%20", " ")
    missing = server.add("/none.jpg", status(404))
    assert detect(f"{first}?token=12", "own.png", missing, "--json", "a.json", "--labels", "made", "--crops", "crops") == 1
    done = capsys.readouterr()
    assert "secret" not in done.out + done.err
    assert "detkit: 1 of 3 images could not be read" in done.err
    rows = json.loads(Path("a.json").read_text())["images"]
    assert [("file" in row, "error" in row) for row in rows] == [(False, False), (True, False), (False, True)]
    assert rows[0]["source"].startswith("http://***@127.0.0.1")
    assert rows[0]["source"].endswith("/my%20photo.jpg?token=12")
    assert rows[0]["detections"][0]["box"] == pytest.approx([9, 20, 29, 40], abs=1)
    assert sorted(path.name for path in Path("runs/detect-1").iterdir()) == ["my_photo.jpg", "own.jpg"]
    assert sorted(path.name for path in Path("made/images/train").iterdir()) == ["my_photo.png", "own.png"]
    assert [path.name for path in Path("crops/red").iterdir() if path.name.startswith("my")] == ["my_photo_1.jpg"]


def test_a_clip_with_a_broken_frame(folder: Path, server: StreamServer, capsys: pytest.CaptureFixture[str]) -> None:
    url = server.add("/camera", stream(*mjpeg(60, 20), END))
    assert detect(url, "--json", "a.json", *NO_LATENCY) == 1
    (clip,) = videos()
    assert (clip["source"], clip["frames_processed"], clip["frames_lost"], clip["frames_dropped"]) == (url, 59, 1, 0)
    assert [frame["frame"] for frame in clip["frames"]] == [number for number in range(60) if number != 20]
    done = capsys.readouterr()
    assert "1 live source of 59 frames (1 lost), 59 detections: 59 red" in done.out
    assert f"{url}: 1 of 60 frames are damaged or missing and were skipped; check the connection" in done.err
    assert done.err.splitlines()[-1] == "detkit: 1 of 1 input could not be read completely"
    assert Video("runs/detect-1/camera.mp4").length >= 59


def test_files_first_and_then_all_live_sources_together(folder: Path, server: StreamServer, capsys: pytest.CaptureFixture[str]) -> None:
    film(folder / "clip.mp4", frames=3)
    film(folder / "remote.mp4", frames=4)
    remote = server.add("/remote.mp4", document(Path("remote.mp4").read_bytes(), "video/mp4"))
    both = threading.Barrier(2, timeout=60)  # the streams end only if both are read at once
    cameras = [server.add(f"/{name}", stream(*mjpeg(4), both.wait, *mjpeg(4, first=4), END)) for name in ("left", "right")]
    words = (*cameras, "clip.mp4", remote, "own.png")
    assert detect(*words, "--every", "2", "--json", "a.json", "--csv", "a.csv", "--no-draw", *NO_LATENCY) == 0
    rows = {row.get("source", row.get("file")): [frame["frame"] for frame in row["frames"]] for row in videos()}
    assert rows == {"clip.mp4": [0, 2], remote: [0, 2], cameras[0]: [0, 2, 4, 6], cameras[1]: [0, 2, 4, 6]}
    out = capsys.readouterr().out
    assert "1 image, 2 videos of 4 frames, 2 live sources of 8 frames, " in out
    assert out.index("own.png") < out.index("left")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_stream_with_everything_written(
    number: signal.Signals,
    code: int,
    folder: Path,
    server: StreamServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    processed, ended = threading.Event(), threading.Event()
    url = server.add("/camera", stream(*mjpeg(8), processed, lambda: signal.pthread_kill(threading.main_thread().ident, number), ended))
    original = DetectJob._frame

    def frame(job: Any, result: Any, video: Any) -> None:
        original(job, result, video)
        if job.tally.frames == 8:
            processed.set()  # the signal comes when the last frame is drawn, too, and the stream waits for the camera

    monkeypatch.setattr(DetectJob, "_frame", frame)
    assert detect(url, "--json", "a.json", "--labels", "made", *NO_LATENCY) == code
    ended.set()
    done = capsys.readouterr()
    assert done.err.splitlines() == ["detkit: stopping: writing what was detected; again to stop now", "detkit: stopped"]
    (clip,) = videos()
    assert len(clip["frames"]) == clip["frames_processed"] == 8
    assert Video("runs/detect-1/camera.mp4").length >= 7
    assert len(list(Path("made/images/train").iterdir())) == 8
    assert not list(folder.rglob("*.tmp*"))
    assert not Path("a.json.partial").exists()
    assert "written: a.json, made, runs/detect-1/" in done.out
    assert "1 live source of 8 frames, 8 detections: 8 red" in done.out


def test_a_limit_on_time_ends_streams(folder: Path, server: StreamServer, capsys: pytest.CaptureFixture[str]) -> None:
    url = server.add("/camera", stream(*mjpeg(5), threading.Event()))
    assert detect(url, "--seconds", "0.2", "--json", "a.json", "--no-draw") == 0
    assert videos()[0]["frames_lost"] == 0
    assert capsys.readouterr().err == ""


def test_a_stream_that_ends_with_an_error_keeps_its_frames(folder: Path, server: StreamServer) -> None:
    good, bad = server.add("/good", stream(*mjpeg(6), END)), server.add("/bad", status(500))
    assert detect(bad, good, "--json", "a.json", *NO_LATENCY) == 1
    content = json.loads(Path("a.json").read_text())
    assert [set(row) for row in content["images"]] == [{"source", "error"}]
    assert [row["frames_processed"] for row in content["videos"]] == [6]


def test_another_size_after_a_reconnection_begins_another_video(folder: Path, server: StreamServer) -> None:
    from stream_server import part

    large = [part(jpeg(number, (60, 120))) for number in range(3)]
    url = server.add("/camera", stream(*mjpeg(3), CUT), stream(*large, END))
    assert detect(url, "--json", "a.json", *NO_LATENCY) == 0
    assert [frame["frame"] for frame in videos()[0]["frames"]] == list(range(6))
    assert all(Video(f"runs/detect-1/{name}.mp4").length >= 3 for name in ("camera", "camera-2"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["http://"], "http://: the address has no host"),
        (["ftp://a/b.jpg"], "ftp://a/b.jpg: expected a file, got a URL"),
        (["0", "--coco", "a.json"], "--coco: expected images, got the live source 0, whose frames have no COCO ids; use --json or --csv"),
        (["rtsp://a:b@c/d", "--coco", "a.json"], "--coco: expected images, got the live source rtsp://***@c/d, whose frames"),
    ],
)
def test_words_that_cannot_be_used(folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect(*words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_stream_has_no_coco_ids(folder: Path, server: StreamServer, capsys: pytest.CaptureFixture[str]) -> None:
    url = server.add("/camera", stream(*mjpeg(2), END))
    photo = server.add("/photos/000139.jpg", document(jpeg(0), "image/jpeg"))
    assert detect(url, photo, "--coco", "a.json", "--no-draw") == 1
    assert f"--coco: expected images, got the video or stream {url}; use --json or --csv" in capsys.readouterr().err
    assert [row["image_id"] for row in json.loads(Path("a.json").read_text())] == [139]


def test_a_file_is_no_camera(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.png").rename("0")
    assert detect("0", "--no-draw") == 0
    assert "0 (80 x 60): 2 detections" in capsys.readouterr().out


class Source:
    name, stem, live, length, lost, frames_per_second = "camera 0", "camera0", True, None, 0, None


def test_lines_about_live_sources_without_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = 100.0
    monkeypatch.setattr("detkit.cli.results.status.time.monotonic", lambda: now)
    with FrameStatus([Source()]) as status_line:  # type: ignore[list-item]
        for number in range(251):
            now = 100 + number / 10
            status_line.update(f"{number} detections", dropped=number // 50)
    assert capsys.readouterr().err.splitlines() == [
        "camera 0: 101 frames (10.1 frames/s), 2 dropped, 100 detections",
        "camera 0: 201 frames (10.1 frames/s), 4 dropped, 200 detections",
    ]
