"""``detkit track`` on small films: ids, files, counts, following, sources, errors and interruptions."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bright import image, load_bright, saved
from track_files import write_rows
from videos import damaged, film

import detkit.inference
from detkit.cli.main import main
from detkit.cli.track.job import TrackJob
from detkit.data.media.video import Video


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a film, where ``--model bright`` is a detector of bright rectangles."""
    monkeypatch.setattr(detkit.inference, "load", load_bright)
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "a.mp4", frames=8)
    (tmp_path / "in").mkdir()
    return tmp_path


def track(*words: str) -> int:
    return main(["track", "--model", "bright", *words])


def content(path: str) -> Any:
    return json.loads(Path(path).read_text("utf-8"))


def test_objects_keep_their_ids_in_all_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert track("a.mp4", "--json", "out/a.json", "--csv", "a.csv", "--mot", "a.txt") == 0
    out = capsys.readouterr().out
    assert "tracker: bytetrack; from 0.6 a detection starts a track, from 0.5 it continues one, from 0.25 if no better one does" in out
    assert "a.mp4 (80 x 60, 8 frames): 2 tracks: 1 red, 1 green in" in out
    assert "      1  red    0.10  0.70     0.60       7   0.90" in out
    assert "1 source of 8 frames, 2 tracks: 1 red, 1 green" in out
    assert "written: out/a.json, a.csv, a.txt, runs/track-1/" in out
    drawn = Video("runs/track-1/a.mp4")
    assert (drawn.length, drawn.frames_per_second) == (8, 10.0)
    data = content("out/a.json")
    assert (data["tracker"]["name"], data["tracker"]["low_score"], data["min_score"]) == ("bytetrack", 0.25, 0.5)
    (source,) = data["sources"]
    assert (source["file"], source["width"], source["height"], source["frames_per_second"]) == ("a.mp4", 80, 60, 10.0)
    assert [row["track"] for row in source["tracks"]] == [1, 2]
    first = source["tracks"][0]
    assert (first["class"], first["first_frame"], first["last_frame"], first["frames"], first["seconds"]) == ("red", 1, 7, 7, 0.6)
    assert [len(row["tracks"]) for row in source["frames"]] == [0, *[2] * 7]
    assert source["frames"][3]["tracks"][0]["track"] == 1
    rows = list(csv.DictReader(Path("a.csv").read_text().splitlines()))
    assert [(row["frame"], row["track"], row["class"]) for row in rows[:3]] == [("1", "1", "red"), ("1", "2", "green"), ("2", "1", "red")]
    assert [float(rows[4][key]) for key in ("x1", "y1", "x2", "y2")] == source["frames"][3]["tracks"][0]["box"]
    assert not list(folder.glob("*.partial"))


def test_evaluate_reads_what_track_writes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The truth has the known boxes of all frames; only the first frame, before an object is confirmed, is missed."""
    assert track("a.mp4", "--mot", "a.txt", "--no-draw", "--classes", "red", "--set", "min_hits=1") == 0
    truth = [(number + 1, 5, 3 * number, 20, 20, 20, 1, 1, 1) for number in range(8)]
    write_rows(folder / "gt.txt", truth)
    assert main(["evaluate", "--annotations", "gt.txt", "--results", "a.txt", "--metric", "hota", "--json", "m.json"]) == 0
    metrics = content("m.json")["tracks"]
    assert (metrics["IDF1"], metrics["IDSW"], metrics["frames"]) == (1.0, 0, 8)
    assert metrics["HOTA"] > 0.8


def test_counts_over_lines_and_in_zones(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The red object moves from a center of 10 to 31; the green one stays at 50."""
    words = ["--line", "gate=20,60,20,0", "--line", "0.25,0,0.25,1", "--zone", "yard=0.3,0,1,0,1,1,0.3,1"]
    assert track("a.mp4", *words, "--json", "a.json") == 0
    out = capsys.readouterr().out
    assert "gate: 1 in (1 red), 0 out" in out
    assert "line 2: 0 in, 1 out (1 red)" in out
    assert "yard: 2 inside at the end, 1 entered (1 red), 0 left, 2 unique (1 green, 1 red) in all" in out
    counts = content("a.json")["sources"][0]["counts"]
    assert [(row["name"], row["in"], row["out"]) for row in counts["lines"]] == [("gate", 1, 0), ("line 2", 0, 1)]
    assert counts["lines"][1]["start"] == [20.0, 0.0]
    assert (counts["zones"][0]["entered"], counts["zones"][0]["unique"]) == (1, 2)
    assert [(event["kind"], event["name"], event["track"]) for event in counts["events"]][:2] == [("in", "gate", 1), ("out", "line 2", 1)]


def test_one_object_is_followed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert track("a.mp4", "--follow", "40,5,20,10", "--json", "a.json") == 0
    frames = content("a.json")["sources"][0]["frames"]
    assert [[(row["track"], row["class"]) for row in frame["tracks"]] for frame in frames] == [[(1, "green")]] * 8
    assert "1 track: 1 green" in capsys.readouterr().out


def test_a_followed_object_is_reported_as_lost_and_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(60):
        saved(folder / "in", f"{number}.png", image() if not 10 <= number < 30 else np.zeros((60, 80, 3), np.uint8))
    assert track("in", "--frame-rate", "20", "--follow", "10,20,20,20", "--csv", "a.csv") == 0
    out = capsys.readouterr().out
    assert "0.95 s: the object is lost, last seen at 0.45 s" in out
    assert "1.50 s: the object is found again, after 1.05 s" in out
    assert len(Path("a.csv").read_text().splitlines()) == 41
    assert track("in", "--frame-rate", "20", "--follow", "10,20,20,20", "--max-lost", "0.5") == 0
    out = capsys.readouterr().out
    assert "the object is lost for good; --max-lost sets for how long it is looked for" in out
    assert "in (80 x 60, 21 frames)" in out


def test_images_are_frames_in_natural_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (8, 9, 10, 11):
        saved(folder / "in", f"f{number}.png", image(red=(3 * number, 20, 3 * number + 20, 40)))
    for words in (["in"], ["in/*.png"], [f"in/f{number}.png" for number in (11, 8, 10, 9)]):
        assert track(*words, "--json", "a.json", "--no-draw") == 0
        (source,) = content("a.json")["sources"]
        assert [frame["tracks"][0]["box"][0] for frame in source["frames"][1:]] == [27.0, 30.0, 33.0]
        assert (source["file"], source["frames_per_second"]) == ("in", 25.0)
    Path("in/f9.png").write_bytes(b"no image")
    assert track("in", "--no-draw") == 1
    assert "in: 1 of 4 frames are damaged or missing and were skipped" in capsys.readouterr().err


def test_several_sources_have_a_file_each(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(folder / "b.mp4", frames=4)
    assert track("a.mp4", "b.mp4", "missing.mp4", "--mot", "mot", "--json", "a.json") == 1
    captured = capsys.readouterr()
    assert "missing.mp4: no such video" in captured.err
    assert "detkit: 1 of 3 sources could not be read" in captured.err
    assert sorted(path.name for path in Path("mot").iterdir()) == ["a.txt", "b.txt"]
    assert [row.get("error", "") != "" for row in content("a.json")["sources"]] == [False, False, True]
    assert track("*.mp4", "--mot", "mot.txt") == 2
    assert "--mot mot.txt: expected a folder, as there are 2 sources and each has a file; give 'mot.txt/'" in capsys.readouterr().err


def test_a_damaged_frame_gives_exit_code_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged(film(folder / "m.avi", frames=6, codec="MJPG"), 3)
    assert track("damaged_m.avi", "--json", "a.json", "--no-draw") == 1
    (source,) = content("a.json")["sources"]
    assert (source["frames_lost"], len(source["frames"])) == (1, 5)
    assert {row["track"] for frame in source["frames"] for row in frame["tracks"]} == {1, 2}


def test_an_interruption_keeps_what_was_tracked(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    original, seen = TrackJob._frame, list[int]()

    def interrupted(self: TrackJob, *args: Any) -> None:
        original(self, *args)
        seen.append(len(Path("a.json.partial").read_text().splitlines()))
        if len(seen) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrackJob, "_frame", interrupted)
    assert track("a.mp4", "--json", "a.json") == 130
    assert seen == [2, 3, 4, 5]  # a line for the command, and one for each frame
    assert len(content("a.json")["sources"][0]["frames"]) == 4
    assert Video("runs/track-1/a.mp4").length == 4
    assert not Path("a.json.partial").exists()
    assert "a.mp4 (80 x 60, 4 frames): 2 tracks" in capsys.readouterr().out


def test_nothing_is_kept_that_is_not_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = list[TrackJob]()
    original = TrackJob.track
    monkeypatch.setattr(TrackJob, "track", lambda self, sources: (jobs.append(self), original(self, sources))[1])
    assert track("a.mp4", "--no-draw") == 0
    assert track("a.mp4", "--no-draw", "--csv", "a.csv") == 0
    assert [len(job.sources["a.mp4"].frames) for job in jobs] == [0, 8]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name a video, a folder, a camera such as 0, or an address"),
        (("none.mp4",), "none.mp4: no such video"),
        (("*.avi",), "*.avi: the pattern matches no file"),
        (("a.mp4", "--line", "1,2,3"), "argument --line: expected [NAME=]x1,y1,x2,y2 in pixels"),
        (("a.mp4", "--line", "1,2,1,2"), "expected two different points, got '1,2,1,2'"),
        (("a.mp4", "--zone", "yard=0,0,9,9"), "expected [NAME=]x,y,x,y,... of three or more corners"),
        (("a.mp4", "--line", "a=0,0,9,9", "--zone", "a=0,0,9,0,9,9"), "two of them are named 'a'; expected different names"),
        (("a.mp4", "--zone", "0,0,5,5,9,9"), "the corners"),
        (("a.mp4", "--follow", "1,2,0,4"), "expected a width and a height above 0"),
        (("a.mp4", "a.mp4", "b.mp4", "--follow", "1,2,3,4"), "--follow X,Y,W,H follows an object of one source, got 2; give one"),
        (("a.mp4", "--tracker", "short"), "unknown tracker 'short': did you mean 'sort'"),
        (("a.mp4", "--set", "min_io=0.2"), "did you mean 'min_iou'"),
        (("a.mp4", "--set", "min_iou=2"), "min_iou"),
        (("a.mp4", "--max-lost", "-1"), "expected seconds"),
        (("a.mp4", "--mot", "."), ""),
        (("mixed",), "mixed: the folder has 1 video and 1 image; name which with a pattern, such as 'mixed/*.mp4'"),
    ],
)
def test_what_cannot_be_tracked(folder: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    film(folder / "b.mp4", frames=2)
    (folder / "mixed").mkdir()
    film(folder / "mixed" / "c.mp4", frames=2)
    saved(folder / "mixed", "c.png", image())
    try:
        code = track(*words)
    except SystemExit as stop:
        code = int(str(stop.code))
    error = capsys.readouterr().err
    assert message in error
    assert code == (2 if message else 0)
    assert len(error.splitlines()) == (1 if message else 0)
