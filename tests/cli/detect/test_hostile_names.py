"""File and class names with characters that lists, terminals and spreadsheets interpret: what is written can be read back."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import pytest
from bright import image, predictor

import detkit.inference
from detkit.cli.detect.label_writer import safe_stem
from detkit.cli.main import main
from detkit.cli.results.cells import quoted_cell
from detkit.cli.results.names import safe_names
from detkit.data import SourceConfig, read_source

NAMES = (
    *("plain.png", "a\nb.png", "a\rb.png", "=cmd.png", "'=cmd.png", "-1.png", "photo -1.png", "photo 1.png", " lead.png", "trail .png"),
    *("#hash.png", "a,b;c.png", "x\u2028y.png", "a.b.png", "A.PNG", "a.png", "c'd\"e.png", "images.png", "%s{0}.png", "x.xml.png"),
    *("y.png.png", "[z].png", "nbsp\u00a0.png", "&lt;<b>.png", "\x1b[31mred.png", "bad\x01ctl.png", "\u202egnp.png", "ünï.png"),
)
BYTES = b"latin\xe9.png"
"""A name that is not UTF-8."""
CLASSES = ("=cmd|' /C calc'!A0", "new\nline\x1b[2J", None)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs file names of any bytes")


def unquoted(cell: str) -> str:
    """Return the name in a cell of the CSV file, by the rule of ``quoted_cell``."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'")[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"} else cell


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from PIL import Image

    def load(*_: object, **options: object) -> object:
        loaded = predictor(60, **{**options, "svd": None})
        loaded.class_names = CLASSES
        return loaded

    monkeypatch.setattr(detkit.inference, "load", load)
    monkeypatch.chdir(tmp_path)
    images = tmp_path / "in"
    images.mkdir()
    Image.fromarray(image()).save(images / "plain.png")
    for name in (*map(os.fsencode, NAMES[1:]), BYTES):
        os.link(images / "plain.png", os.path.join(os.fsencode(images), name))
    return tmp_path


def names_in(folder: Path) -> set[str]:
    return {str(path) for path in folder.iterdir()}


def detect(*words: str) -> int:
    return main(["detect", "in", "--model", "bright", "--no-draw", *words])


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
def test_labels_of_every_image_are_read_back(kind: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("--labels", "made", "--labels-format", kind) == 0
    count = len(NAMES) + 1
    assert f"labels: {count} images, {2 * count} boxes to correct" in capsys.readouterr().out
    data = read_source(SourceConfig(path="made", split="train"))
    assert (len(data), len(data.records.boxes)) == (count, 2 * count)
    assert data.report.summary() == []
    assert sorted(data.class_names) == ["=cmd|' /C calc'!A0", "new\\nline\\x1b[2J"]
    assert {"plain.png", "ünï.png"} <= {Path(path).name for path in data.records.paths}


def test_files_hold_every_name(folder: Path) -> None:
    assert detect("--json", "a.json", "--csv", "a.csv") == 0
    found = names_in(Path("in"))
    images = json.loads(Path("a.json").read_bytes())["images"]
    assert {entry["file"] for entry in images} == found
    assert {os.fsencode(entry["file"]) for entry in images} >= {b"in/" + BYTES}
    with Path("a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(found)
    assert {unquoted(row["file"]) for row in rows} == {name.encode("utf-8", "backslashreplace").decode() for name in found}
    assert {unquoted(row["class"]) for row in rows} == set(CLASSES[:2])
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "@", "\t", "\r"))]


def test_the_terminal_receives_no_control_characters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "in" / "\x1b[2J\x07broken.png").write_bytes(b"")
    listing = {"images": [{"id": 1, "file_name": "in/plain.png", "width": 80, "height": 60}]}
    listing |= {"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]}]}
    listing |= {"categories": [{"id": 1, "name": "a\x1b[2Jb\n"}]}
    (folder / "labels.json").write_text(json.dumps(listing))
    assert detect("--labels", "made") == 1
    assert main(["info", "labels.json"]) == 0
    done = capsys.readouterr()
    text = done.out + done.err
    assert not [character for character in text if ord(character) < 32 and character != "\n"]
    assert not {"\u202e", "\u2028"} & set(text)
    assert "in/a\\nb.png (80 x 60): 2 detections" in done.out
    assert "\\x1b[2J\\x07broken.png" in done.err
    assert "a\\x1b[2Jb" in done.out


@pytest.mark.parametrize("name", ["=1", "+1", "-1", "@x", "\tx", "\rx", "'=1", "''=1", "'plain", "plain", ""])
def test_cells_are_quoted_so_that_the_name_can_be_recovered(name: str) -> None:
    cell = quoted_cell(name)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unquoted(cell) == name


@pytest.mark.parametrize(
    ("stem", "safe"), [("frame.12", "frame.12"), ("a b", "a_b"), ("-1", "_1"), ("x.xml", "x_xml"), (".a", "_a"), ("", "_")]
)
def test_stems_change_only_if_they_must(stem: str, safe: str) -> None:
    assert safe_stem(stem) == safe
    assert len(safe_stem("ü" * 200).encode()) <= 180


def test_class_names_stay_distinct() -> None:
    assert safe_names(["cat", " cat", "", "a\nb", "cat"]) == ["cat", "cat 2", "class 2", "a\\nb", "cat 3"]
