"""``detkit detect --shard``, as a user runs it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from bright import saved
from PIL import Image
from without_libraries import SLOW_LIBRARIES, run_without

from detkit.cli.inputs import sample_photograph
from detkit.cli.main import main

SHARD = "shard-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a photograph, parts of it, a black image, and a file that is no image; names end in numbers, as COCO's do."""
    folder = tmp_path_factory.mktemp("shard")
    (folder / "in").mkdir()
    photograph = Image.open(sample_photograph()).convert("RGB").resize((320, 240))
    for index in range(2):
        photograph.crop((8 * index, 0, 320, 240)).save(folder / f"in/{index}.png")
    saved(folder / "in", "2.png", np.zeros((24, 32, 3), np.uint8))
    (folder / "in/3.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(autouse=True)
def working_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_a_shard_has_the_rows_of_detect(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", "in", "--shard", "0/1", "--output", "one"]) == 1
    captured = capsys.readouterr()
    assert "shard 0/1: 4 of 4 images\n" in captured.out
    assert "4 images processed in " in captured.out
    assert f"written: one/{SHARD}" in captured.out
    assert captured.err == "detkit: 1 of 4 images could not be read; their rows have the error\n"
    assert main(["detect", "in", "--json", "found.json", "--no-draw"]) == 1
    content = json.loads((folder / "found.json").read_text())
    rows = pq.read_table(f"one/{SHARD}").to_pylist()
    assert [row["image"] for row in rows] == [f"in/{index}.{'jpg' if index == 3 else 'png'}" for index in range(4)]
    for row, entry in zip(rows, content["images"], strict=True):
        assert (row["image"], row["error"]) == (entry["file"], entry.get("error"))
        if row["error"] is None:
            assert (row["width"], row["height"]) == (entry["width"], entry["height"])
            found = zip(row["classes"], row["labels"], row["scores"], row["boxes"], strict=True)
            expected = [(line["class"], line["label"], line["score"], line["box"]) for line in entry["detections"]]
            assert [(name, label, round(score, 7), [round(side, 4) for side in box]) for name, label, score, box in found] == expected
    assert rows[2]["boxes"] == []
    assert sum(len(row["boxes"] or ()) for row in rows) >= 2
    recorded = json.loads(pq.read_schema(f"one/{SHARD}").metadata[b"detkit"])
    assert recorded["settings"] == {"min_score": content["min_score"], "classes": None, "max_detections": 100, "svd": None}
    capsys.readouterr()
    assert main(["detect", "in", "--shard", "0/1", "--output", "one"]) == 1
    assert "4 images finished before\nno images processed;" in capsys.readouterr().out


def test_shards_without_pytorch_are_one_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Merged, they are the file of a single run, and the COCO results of ``detect``."""
    Path("list.txt").write_text("".join(f"in/{index}.png\n" for index in range(3)))
    out = run_without(SLOW_LIBRARIES, "detect", "list.txt", "--shard", "0/2", "--output", "two")
    assert "on cpu in fp32" in out
    assert main(["detect", "list.txt", "--shard", "1/2", "--output", "two"]) == 0
    assert main(["detect", "list.txt", "--shard", "0/1", "--output", "all"]) == 0
    assert main(["data", "merge-results", "two", "--parquet", "merged.parquet", "--json", "merged.json"]) == 0
    assert "2 shards: complete; 3 images, " in capsys.readouterr().out
    assert Path("merged.parquet").read_bytes() == Path(f"all/{SHARD}").read_bytes()
    assert main(["detect", *(f"in/{index}.png" for index in range(3)), "--coco", "found.json", "--no-draw"]) == 0
    assert Path("merged.json").read_text() == Path("found.json").read_text()
    assert len(json.loads(Path("merged.json").read_text())) >= 2


@pytest.mark.slow
def test_four_shards_with_kills_and_reruns_are_one_run(folder: Path, tmp_path: Path) -> None:
    """Each shard is killed twice, at other times, and then runs to its end."""
    for index in range(24):
        Image.open(f"in/{index % 2}.png").crop((index, 0, 300, 240)).save(tmp_path / f"{index}.png")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    words = [sys.executable, "-m", "detkit", "detect", str(tmp_path), "--output", "killed", "--threads", "1"]
    codes = []
    for index in range(4):
        for seconds in (1.0 + index, 2.5 + index):
            process = subprocess.Popen([*words, "--shard", f"{index}/4"], start_new_session=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            process.kill()
            process.wait()
        codes.append(subprocess.run([*words, "--shard", f"{index}/4"], check=False).returncode)
    assert sorted(codes) == [0, 0, 0, 1]
    assert main(["data", "merge-results", "killed", "--parquet", "killed.parquet"]) == 0
    assert main(["detect", str(tmp_path), "--output", "undisturbed", "--threads", "1", "--shard", "0/1"]) == 1
    assert Path("killed.parquet").read_bytes() == Path(f"undisturbed/{SHARD}").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["in", "--shard", "4/4", "--output", "o"], "argument --shard: expected I/N, shard I of N, such as 0/4 for the first of four"),
        (["in", "--shard", "0/4"], "--shard needs --output DIR, the folder of all shards"),
        (["--shard", "0/4", "--output", "o"], "--shard: expected images, such as a folder or a .txt file"),
        (
            ["in", "--shard", "0/4", "--output", "o", "--json", "a"],
            "--json cannot be used with --shard, which writes one Parquet file; write",
        ),
        (["in", "--shard", "0/4", "--output", "o", "--only-found"], "--only-found cannot be used with --shard"),
        (["in", "--shard", "0/4", "--output", "o", "--crop-margin", "1"], "--crop-margin cannot be used with --shard"),
        (["in", "--shard", "0/4", "--output", "in/0.png"], "--output in/0.png: expected a folder, got a file"),
        (["0", "--shard", "0/4", "--output", "o"], "--shard: expected images, got the camera or stream 0"),
        (["no", "--shard", "0/4", "--output", "o"], "no such image: no;"),
    ],
)
def test_wrong_flags(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["detect", *words])
    except SystemExit as stop:
        code = int(str(stop.code))
    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1
    assert message in error
    assert not Path("o").exists()


def test_other_settings_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["detect", "in/2.png", "--shard", "0/1", "--output", "mixed"]
    assert main(words) == 0
    assert main([*words, "--min-score", "0.7", "--classes", "cat"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "other settings: classes None, expected ['cat']; min_score " in error
