"""``detkit data check --pixels`` that was killed goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detkit.curation.duplicates.cache import PixelCache
from detkit.curation.duplicates.rows import RowFile
from detkit.curation.duplicates.scan import _FIELDS

COUNT = 600
SECONDS = 300
COUNTED = """
import sys
from detkit.cli.main import main
from detkit.curation.duplicates import scan
original, decoded = scan._decode, []
scan._decode = lambda path, windows: (decoded.append(path), original(path, windows))[1]
code = main(sys.argv[1:])
print("decoded", len(decoded))
sys.exit(code)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """YOLO data of small different images, of which the last is a copy of the first."""
    rng = np.random.default_rng(0)
    for folder in ("images/train", "labels/train"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for number in range(COUNT):
        pixels = rng.integers(0, 255, (160, 160, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"data/images/train/{number:04}.png", compress_level=1)
        (tmp_path / f"data/labels/train/{number:04}.txt").write_text("0 .5 .5 .5 .5\n")
    (tmp_path / f"data/images/train/{COUNT - 1:04}.png").write_bytes((tmp_path / "data/images/train/0000.png").read_bytes())
    (tmp_path / "data/data.yaml").write_text("train: images/train\nnames: [thing]\n")
    return tmp_path / "data"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that end with the test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def command(data: Path, report: Path) -> list[str]:
    return [sys.executable, "-c", COUNTED, "data", "check", str(data), "--pixels", "--json", str(report)]


def run(data: Path, cache: Path) -> tuple[int, object]:
    """Run the check; return the number of images that it decoded, and its report."""
    report = cache.with_suffix(".json")
    result = subprocess.run(
        command(data, report), env=os.environ | {"XDG_CACHE_HOME": str(cache)}, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    return int(result.stdout.split()[-1]), json.loads(report.read_text("utf-8"))


@pytest.mark.slow
def test_a_check_that_was_killed_resumes(data: Path, tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    decoded, expected = run(data, tmp_path / "whole")
    assert decoded == COUNT
    assert "exact_duplicate" in json.dumps(expected)
    cache = tmp_path / "killed"
    rows = PixelCache.of(str(data), cache / "detkit" / "pixels").images
    process = subprocess.Popen(
        command(data, tmp_path / "killed.json"), env=os.environ | {"XDG_CACHE_HOME": str(cache)}, stdout=subprocess.PIPE, text=True
    )
    started.append(process)
    end = time.monotonic() + SECONDS
    while not (rows.is_file() and rows.stat().st_size) and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = len(RowFile(rows, _FIELDS).read())
    assert 0 < kept < COUNT
    decoded, report = run(data, cache)
    assert decoded == COUNT - kept
    assert report == expected
