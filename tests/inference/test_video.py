from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from bright import image, predictor, saved
from videos import damaged, film, trimmed, truncated, with_durations, with_rotation_mark

from detkit.checkpoint.temporary import remove_stale_temporaries
from detkit.data.media.containers import missing_bytes, shows_every_frame
from detkit.data.media.extensions import is_video
from detkit.data.media.images import read_image
from detkit.data.media.source import Frame
from detkit.data.media.video import Video
from detkit.drawing.video import VideoWriter
from detkit.inference import ImagePyramid, detect_video


def missing(path: Path) -> int:
    with path.open("rb") as file:
        return missing_bytes(file, path.stat().st_size)


def shows_all(path: Path, frames: int) -> bool:
    with path.open("rb") as file:
        return shows_every_frame(file, path.stat().st_size, frames)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.MKV", "mp4v")])
def test_frames_are_in_order_with_their_times(tmp_path: Path, name: str, codec: str) -> None:
    video = Video(film(tmp_path / name, frames=5, rate=10, codec=codec))
    assert (video.frames_per_second, video.length) == (10.0, 5)
    frames = list(video.frames())
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [round(frame.seconds, 3) for frame in frames] == [0.0, 0.1, 0.2, 0.3, 0.4]
    for index, frame in enumerate(frames):
        expected = image(red=(3 * index, 20, 3 * index + 20, 40))
        assert frame.pixels.shape == expected.shape
        assert np.abs(frame.pixels.astype(int) - expected).mean() < 12  # lossy, but in RGB order


def test_every_third_frame_keeps_its_index_and_time(tmp_path: Path) -> None:
    frames = list(Video(film(tmp_path / "a.mp4", frames=7)).frames(every=3))
    assert [(frame.index, round(frame.seconds, 3)) for frame in frames] == [(0, 0.0), (3, 0.3), (6, 0.6)]
    assert frames[1].pixels[30, 9 + 10, 0] > 200
    assert frames[1].pixels[30, 4, 0] < 60


def test_variable_frame_rate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    durations = (0.1, 0.03, 0.5, 0.04, 1.2, 0.1, 0.033, 0.25)
    video = Video(with_durations(film(tmp_path / "a.mp4", frames=8), durations))
    times = [sum(durations[:index]) for index in range(8)]
    assert [frame.seconds for frame in video.frames()] == pytest.approx(times, abs=1e-3)
    assert [(frame.index, round(frame.seconds, 3)) for frame in video.frames(3)] == [(0, 0.0), (3, 0.63), (6, 1.97)]
    assert video.lost == 0
    assert caplog.text == ""


@pytest.mark.parametrize(("clockwise", "turns"), [(90, -1), (180, 2), (270, 1)])
def test_rotations(tmp_path: Path, clockwise: int, turns: int) -> None:
    unrotated = film(tmp_path / "a.mp4", frames=2)
    upright = next(Video(with_rotation_mark(unrotated, clockwise)).frames()).pixels
    assert np.array_equal(upright, np.rot90(next(Video(unrotated).frames()).pixels, turns))


@pytest.mark.parametrize(("batch_size", "every", "indices"), [(1, 1, [0, 1, 2, 3, 4, 5]), (4, 1, [0, 1, 2, 3, 4, 5]), (4, 2, [0, 2, 4])])
def test_detections_match_those_of_single_images(tmp_path: Path, batch_size: int, every: int, indices: list[int]) -> None:
    path = film(tmp_path / "a.mp4")
    single = predictor(60)
    pairs = list(detect_video(predictor(60, batch_size=batch_size), path, every=every))
    assert [frame.index for frame, _ in pairs] == indices
    for frame, detections in pairs:
        expected = single(frame.pixels)
        assert np.array_equal(detections.boxes, expected.boxes)
        assert detections.boxes[0, 0] == pytest.approx(3 * frame.index, abs=3)
    assert pairs[0][1].boxes[0, 0] < pairs[-1][1].boxes[0, 0]


@pytest.mark.parametrize("lost", [(4,), (0,), (3, 4, 5, 6, 7, 8, 9), (2, 5, 6, 10)])
def test_damaged_frames_are_skipped_and_counted(tmp_path: Path, lost: tuple[int, ...]) -> None:
    video = Video(damaged(film(tmp_path / "a.avi", frames=12, codec="MJPG"), *lost))
    frames = list(video.frames())
    assert [frame.index for frame in frames] == [index for index in range(12) if index not in lost]
    assert video.lost == len(lost)
    whole = {frame.index: frame for frame in Video(tmp_path / "a.avi").frames()}
    for frame in frames:
        assert np.array_equal(frame.pixels, whole[frame.index].pixels)
        assert frame.seconds == pytest.approx(whole[frame.index].seconds, abs=0.15)
    pairs = list(detect_video(predictor(60, batch_size=4), video, every=2))
    assert [frame.index for frame, _ in pairs] == [index for index in range(0, 12, 2) if index not in lost]
    assert video.lost == sum(index % 2 == 0 for index in lost)


def test_pyramid_on_a_video(tmp_path: Path) -> None:
    pairs = list(detect_video(ImagePyramid(predictor(60), scales=(1.0, 2.0)), Video(film(tmp_path / "a.mp4", frames=2))))
    assert [len(detections) for _, detections in pairs] == [2, 2]


def test_closing_before_the_end(tmp_path: Path) -> None:
    pairs = detect_video(predictor(60), film(tmp_path / "a.mp4", frames=30))
    assert next(pairs)[0].index == 0
    pairs.close()


@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_frames_that_a_truncated_video_lacks_are_counted(tmp_path: Path, batch_size: int, caplog: pytest.LogCaptureFixture) -> None:
    video = Video(truncated(film(tmp_path / "a.avi", frames=30, codec="MJPG")))
    indices = [frame.index for frame, _ in detect_video(predictor(60, batch_size=batch_size), video)]
    assert len(indices) > 5
    assert indices == list(range(len(indices)))
    assert video.lost == 30 - len(indices)
    assert caplog.text == ""
    every_third = [frame.index for frame in video.frames(3)]
    assert len(every_third) + video.lost == 10


@pytest.mark.parametrize("codec", ["MJPG", "mp4v"])
@pytest.mark.parametrize("lost", [(11,), (9, 10, 11), (4, 11)])
def test_damaged_frames_at_the_end_are_counted(tmp_path: Path, codec: str, lost: tuple[int, ...]) -> None:
    video = Video(damaged(film(tmp_path / "a.avi", frames=12, codec=codec), *lost))
    assert len(list(video.frames())) == 12 - len(lost)
    assert video.lost == len(lost)


def test_a_trimmed_video_has_lost_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = film(tmp_path / "a.mp4", frames=30)
    video = Video(trimmed(whole))
    assert shows_all(whole, 30)
    assert not shows_all(video.path, 30)
    read = len(list(video.frames()))
    assert 10 <= read <= 20
    assert video.lost == 0
    assert f"trimmed_a.mp4: expected 30 frames as in its header, read {read}; it is trimmed, or of variable frame rate" in caplog.text


@pytest.mark.parametrize(
    ("name", "codec"), [("a.avi", "MJPG"), ("a.avi", "mp4v"), ("a.mp4", "mp4v"), ("a.mkv", "mp4v"), ("a.webm", "VP80")]
)
def test_truncated_containers_are_recognized(tmp_path: Path, name: str, codec: str) -> None:
    whole = film(tmp_path / name, frames=20, codec=codec)
    size = whole.stat().st_size
    assert missing(whole) == 0
    for fraction in (0.5, 0.99):
        lacking = missing(truncated(whole, fraction))  # of an MP4, at least from the end of the box that is cut
        assert (0 < lacking <= size - int(fraction * size)) if name == "a.mp4" else lacking == size - int(fraction * size)
    video = Video(whole)
    list(video.frames())
    assert video.lost == 0


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\x1aE\xdf\xa3", b"\0\0\0\x08moov", b"\0\0\0\0ftyp", b"text" * 9])
def test_containers_that_state_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    assert missing(tmp_path / "a.mp4") == 0
    assert shows_all(tmp_path / "a.mp4", 10) == content.startswith(b"RIFF")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "the file is empty"), (b"hello, this is text", "not a readable video"), (None, "expected a video, got a folder")],
)
def test_invalid_videos(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.mp4"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.mp4: {message}"):
        Video(path)
    with pytest.raises(FileNotFoundError, match=r"b\.mp4: no such video"):
        list(detect_video(predictor(60), tmp_path / "b.mp4"))


def test_every_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="every: expected 1 or more, got 0"):
        list(Video(film(tmp_path / "a.mp4", frames=2)).frames(0))


def test_is_video() -> None:
    assert is_video("A.MP4")
    assert not is_video("a.jpg")
    assert not is_video("mp4")


def test_written_video_has_all_frames_and_even_sides(tmp_path: Path) -> None:
    frames = [image(61, 81, red=(3 * i, 20, 3 * i + 20, 40)) for i in range(4)]
    with VideoWriter(tmp_path / "new" / "a.mp4", 5) as writer:
        for frame in frames:
            writer.write(frame)
    video = Video(tmp_path / "new" / "a.mp4")
    assert (video.length, video.frames_per_second) == (4, 5.0)
    first = next(video.frames()).pixels
    assert first.shape == (62, 82, 3)
    assert np.abs(first[:61, :81].astype(int) - frames[0]).mean() < 12


def test_reading_error_is_raised_after_the_frames_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Video.frames

    def failing(video: Video, every: int) -> Iterator[Frame]:
        yield from itertools.islice(read(video, every), 3)
        raise OSError("disk failure")

    monkeypatch.setattr(Video, "frames", failing)
    indices = []
    pairs = detect_video(predictor(60, batch_size=2), film(tmp_path / "a.mp4"))
    with pytest.raises(OSError, match="disk failure"):
        indices.extend(frame.index for frame, _ in pairs)
    assert indices == [0, 1, 2]


def test_file_name_with_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        film(tmp_path / "a.mp4", frames=2).rename("12:30.mp4")
    except OSError:
        pytest.skip("file names cannot contain colons on this system")
    assert len(list(Video("12:30.mp4").frames())) == 2
    with VideoWriter(Path("12:31.mp4"), 5) as writer:
        writer.write(image())
    assert Video("12:31.mp4").length == 1


@pytest.mark.parametrize(("rate", "written"), [(200 / 3, 66.67), (1000 / 7, 142.86), (29.97, 29.97), (0.001, 0.1), (5000, 600)])
def test_frame_rate_is_rounded_and_clamped(tmp_path: Path, rate: float, written: float) -> None:
    with VideoWriter(tmp_path / "a.mp4", rate) as writer:
        writer.write(image())
        writer.write(image())
    assert Video(tmp_path / "a.mp4").frames_per_second == pytest.approx(written)


def test_frames_are_repeated_to_fill_their_time(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 10) as writer:
        for number, seconds in enumerate((0.0, 0.1, 0.5, 0.6, 0.6, 900.0, 900.1)):
            writer.write(image(red=(10 * number, 20, 10 * number + 10, 40)), seconds)
    frames = list(Video(tmp_path / "a.mp4").frames())
    assert len(frames) == 8 + 100 + 2  # a jump in the timestamps is not filled
    columns = [int(np.argmax(frame.pixels[30, :, 0] > 128)) // 10 for frame in frames]
    assert columns[:9] == [0, 1, 1, 1, 1, 2, 3, 4, 4]
    assert columns[-3:] == [4, 5, 6]


def test_frames_must_have_equal_sizes(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 5) as writer:
        writer.write(image())
        with pytest.raises(ValueError, match=re.escape("a.mp4: expected frames of shape (60, 80, 3), got (60, 90, 3)")):
            writer.write(image(60, 90))


def test_no_frames_create_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 5):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_video_has_another_name(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 5) as writer:
        writer.write(image())
        (unfinished,) = tmp_path.iterdir()
        assert unfinished.name.startswith(".a.mp4.")
        copy = unfinished.with_name(unfinished.name.replace(f"-{os.getpid()}-", "-99999999-"))
        copy.write_bytes(b"of a killed process")
    assert remove_stale_temporaries(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_incomplete_video_is_an_error(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "a.mp4", 5)
    writer.write(image())
    writer.written += 1  # as if a frame had been lost on a full disk
    with pytest.raises(OSError, match=r"a\.mp4: 1 of 2 frames were written"):
        writer.close()
    assert list(tmp_path.iterdir()) == []


def test_earlier_error_is_not_hidden(tmp_path: Path) -> None:
    def interrupted() -> None:
        with VideoWriter(tmp_path / "a.mp4", 5) as writer:
            writer.write(image())
            writer.written += 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_video_that_cannot_be_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2.VideoWriter, "isOpened", lambda _: False)
    with pytest.raises(OSError, match=r"a\.mp4: cannot create a video of 80 x 60 pixels"):
        VideoWriter(tmp_path / "a.mp4", 5).write(image())


def test_read_image_rejects_a_video(tmp_path: Path) -> None:
    assert read_image(saved(tmp_path, "a.png", image())).shape == (60, 80, 3)
    with pytest.raises(ValueError, match="not a readable image: it is a video"):
        read_image(film(tmp_path / "a.mp4", frames=2))
