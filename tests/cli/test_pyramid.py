"""``--pyramid``, ``--flip``, ``--sizes`` and ``--merge``, with a detector of bright rectangles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bright import image, predictor, saved

import detkit.inference
from detkit.cli.main import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an image and its labels; ``bright`` is a detector with a short side of 60."""

    def load(source: Any, device: str, precision: str, **options: Any) -> Any:
        return predictor(60, **options)

    monkeypatch.setattr(detkit.inference, "load", load)
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, "1.png", image())
    labels = {
        "images": [{"id": 1, "file_name": "1.png", "width": 80, "height": 60}],
        "categories": [{"id": 3, "name": "red"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [10, 20, 20, 20]}],
    }
    Path("gt.json").write_text(json.dumps(labels))
    return tmp_path


def detect(*words: str) -> int:
    return main(["detect", "1.png", "--model", "bright", "--no-draw", *words])


def test_detect(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("--pyramid", "0.5", "1", "2", "--json", "a.json") == 0
    out = capsys.readouterr().out
    description = "short sides 30, 60, 120 pixels (0.5, 1, 2 times the detector's own size), merged by hard NMS"
    assert f"pyramid: {description}\n" in out
    assert "1 image, 2 detections: 1 red, 1 green" in out
    assert json.loads(Path("a.json").read_text())["pyramid"] == description


def test_min_score_applies_after_merging(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("--pyramid", "60", "120", "--flip", "--merge", "gaussian", "--min-score", "0.7") == 0
    out = capsys.readouterr().out
    assert "(1, 2 times the detector's own size), each also flipped, merged by gaussian NMS" in out
    assert "1 detection: 1 red" in out


def test_sizes_and_flip_without_scales(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("--pyramid", "1", "2", "--sizes", "18:", ":10", "--merge", "fusion") == 0
    assert "1 detection: 1 red" in capsys.readouterr().out
    assert detect("--flip") == 0
    assert "pyramid: short sides 60 pixels (1 times the detector's own size), each also flipped" in capsys.readouterr().out


def test_evaluate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "bright", "--data", "gt.json", "--pyramid", "1", "2", "--json", "n.json"]) == 0
    assert "pyramid: short sides 60, 120 pixels" in capsys.readouterr().out
    numbers = json.loads(Path("n.json").read_text())
    assert numbers["pyramid"].startswith("short sides 60, 120")
    assert numbers["values"]["AP50"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--merge", "fusion"),
            "--merge needs an image pyramid or tiles; give its scales with --pyramid, such as --pyramid 0.5 1 2, or --tiles 640",
        ),
        (("--sizes", "1:2"), "--sizes needs an image pyramid"),
        (("--pyramid", "1", "800"), "800"),
        (("--pyramid", "1", "2", "--sizes", "5:"), "sizes: expected one range for each of 2 scales, got 1"),
    ],
)
def test_inconsistent_flags_are_refused(folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    assert detect(*words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--pyramid", "1", "1.png"), "expected numbers, got '1.png'; name the images before --pyramid"),
        (("--pyramid", "1", "--sizes", "big"), "expected FROM:BELOW, such as 24:128, 64: or :48; got 'big'"),
        (("--pyramid", "1", "--sizes", "a:b"), "got 'a:b'"),
        (("--pyramid", "1", "--merge", "soft"), "invalid choice: 'soft'"),
    ],
)
def test_invalid_values_are_refused(folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        detect(*words)
    assert message in capsys.readouterr().err


def test_results_files_have_no_pyramid(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--annotations", "gt.json", "--results", "dt.json", "--flip"]) == 2
    assert "so it cannot be combined with --flip" in capsys.readouterr().err


def test_tiles(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("--tiles", "48", "--tile-overlap", "0.5", "--json", "a.json") == 0
    out = capsys.readouterr().out
    assert "tiles: tiles of 48 x 48 pixels that overlap by 50 % and the whole image at short sides 60 pixels" in out
    assert "1 red" in out
    assert detect("--tiles", "80", "--tiles-only") == 0
    assert "tiles of 80 x 80 pixels that overlap by 20 %, merged by hard NMS" in capsys.readouterr().out
    assert main(["evaluate", "bright", "--data", "gt.json", "--images", ".", "--tiles", "80", "--no-report", "--json", "b.json"]) == 0
    assert json.loads(Path("b.json").read_text())["pyramid"].startswith("tiles of 80 x 80")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tiles", "0"), "expected sides of at least 32 pixels, such as 640, got '0'"),
        (("--tiles", "640", "b.png"), "expected sides of tiles in pixels, such as 640, got 'b.png'; name the images before --tiles"),
        (("--tiles", "64", "--tile-overlap", "1"), "expected a fraction from 0 to below 1, such as 0.2; got '1'"),
        (("--tiles-only",), "--tiles-only needs tiles; give their side with --tiles"),
        (("--tile-overlap", "0.3"), "--tile-overlap needs tiles"),
        (("--tiles", "64", "--tiles-only", "--pyramid", "1"), "--tiles-only leaves out the whole image, and --pyramid gives its scales"),
    ],
)
def test_flags_of_tiles_that_are_refused(folder: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = detect(*words)
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert message in capsys.readouterr().err
