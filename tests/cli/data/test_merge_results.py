"""``detkit data merge-results``, as a user runs it; tests/bulk/test_merge.py has each problem."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bulk"))

from brightness import Brightness, listed, write_images

from detkit.bulk import Shard, detect_shard
from detkit.cli.main import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two shards of images 000 to 008."""
    monkeypatch.chdir(tmp_path)
    write_images(Path("in"), 9)
    for index in range(2):
        listing, info = listed(Path("in"), Shard(index, 2))
        detect_shard(Brightness(), listing, "found", info)
    return tmp_path


def test_check_and_merge(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "merge-results", "found"]) == 0
    out = capsys.readouterr().out
    assert out == f"2 shards: complete; 10 images, 1 of them not readable, 9 detections\nmodel: brightness, SHA-256 {'0' * 64}\n"
    assert main(["data", "merge-results", "found", "--parquet", "all.parquet", "--json", "all.json"]) == 0
    assert capsys.readouterr().out.endswith("written: all.json, all.parquet\n")
    rows = json.loads(Path("all.json").read_text())
    assert [row["image_id"] for row in rows] == [1, 1, 2, 4, 4, 5, 7, 7, 8]
    assert rows[0] == {"image_id": 1, "category_id": 1, "bbox": [0.0, 1.0, 1.5714, 8.0], "score": 1.0}


def test_ids_of_annotations(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = [{"file_name": f"{index:03d}.png", "id": 50 + index} for index in range(9)]
    Path("a.json").write_text(json.dumps({"images": images, "categories": [{"name": "dark", "id": 7}]}))
    assert main(["data", "merge-results", "found", "--json", "all.json", "--annotations", "a.json"]) == 0
    assert {(row["image_id"], row["category_id"]) for row in json.loads(Path("all.json").read_text())} == {
        (50 + n, 7) for n in (1, 2, 4, 5, 7, 8)
    }
    Path("a.json").write_text(json.dumps({"images": images, "categories": [{"name": "light", "id": 7}]}))
    assert main(["data", "merge-results", "found", "--json", "all.json", "--annotations", "a.json"]) == 0
    assert "all.json: skipped 9 detections of classes that the annotations do not have" in capsys.readouterr().out
    assert json.loads(Path("all.json").read_text()) == []


def test_problems_are_lines_and_nothing_is_merged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("found/shard-00001-of-00002.parquet").unlink()
    Path("found/x.parquet").write_bytes(b"x" * 100)
    assert main(["data", "merge-results", "found", "--parquet", "all.parquet"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("detkit: found/x.parquet: damaged (")
    assert lines[1] == "detkit: shard 1/2 is missing; run `detkit detect ... --shard 1/2`"
    assert lines[2] == "detkit: error: found: 2 problems; nothing was merged"
    assert not Path("all.parquet").exists()


def test_equal_ids(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(Path("in/7"), 2)
    for index in range(2):
        listing, info = listed(Path("in/**/*.png"), Shard(index, 2))
        detect_shard(Brightness(), listing, "nested", info)
    assert main(["data", "merge-results", "nested", "--json", "all.json"]) == 2
    assert "in/000.png and in/7/000.png have the same image id 0; give their ids with --annotations FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no"], "no: expected a folder with Parquet files of `detkit detect --shard`, got none"),
        (["found", "--annotations", "a.json"], "--annotations gives the ids of --json; add --json FILE"),
        (["found", "--parquet", "found/all.parquet"], "--parquet found/all.parquet: expected a file outside of the folder of the shards"),
    ],
)
def test_wrong_words(folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "merge-results", *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
