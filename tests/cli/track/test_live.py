"""``detkit track`` on streams of a server on loopback: ids go on across a lost connection, and several streams run together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bright import predictor
from stream_server import CUT, END, StreamServer, jpeg, part, stream

import detkit.inference
from detkit.cli.main import main

STILL = part(jpeg(4))
"""A frame in which nothing moves: times of arrival on a busy machine say nothing about speeds."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, where ``--model bright`` is a detector of bright rectangles."""
    monkeypatch.setattr(detkit.inference, "load", lambda *_, **options: predictor(60, **options))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def track(*words: str) -> int:
    return main(["track", "--model", "bright", "--max-latency", "60", "--max-lost", "60", *words])


def sources() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(Path("a.json").read_text("utf-8"))["sources"]
    return rows


def test_ids_go_on_across_a_lost_connection(folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with StreamServer() as server:
        url = server.add("/camera", stream(*[STILL] * 6, CUT), stream(*[STILL] * 6, END))
        assert track(url, "--json", "a.json") == 0
    (source,) = sources()
    assert source["source"] == url
    assert [[row["track"] for row in frame["tracks"]] for frame in source["frames"]] == [[], *[[1]] * 11]
    assert [frame["frame"] for frame in source["frames"]] == list(range(12))
    assert source["frames"][6]["seconds"] - source["frames"][5]["seconds"] > 0.3  # the wait before the second connection
    assert "the connection is lost" in caplog.text
    assert (source["frames_dropped"], source["frames_lost"]) == (0, 0)
    assert "camera" in next(Path("runs/track-1").iterdir()).name


def test_streams_run_together_with_ids_of_their_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with StreamServer() as server:
        urls = [server.add(f"/{name}", stream(*[STILL] * 5, END)) for name in ("north", "south")]
        assert track(*urls, "--json", "a.json", "--no-draw") == 0
    assert [source["source"] for source in sources()] == urls
    assert [[row["track"] for row in source["tracks"]] for source in sources()] == [[1], [1]]
    assert "2 sources of 10 frames, 2 tracks: 2 red" in capsys.readouterr().out


def test_a_password_is_never_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with StreamServer() as server:
        url = server.add("/camera", stream(*[STILL] * 3, END)).replace("http://", "http://me:secret@")
        missing = server.url("/none", "me:secret")
        assert track(url, missing, "--json", "a.json", "--csv", "a.csv") == 1
    captured = capsys.readouterr()
    assert len(sources()) == 2
    written = "".join(path.read_text("utf-8") for path in (Path("a.json"), Path("a.csv")))
    assert "secret" not in captured.out + captured.err + written
