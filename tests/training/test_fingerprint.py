"""Fingerprints of data: what they notice, and what they do not depend on."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from detkit.data import DetectionData
from detkit.data.records import ImageRecord
from detkit.structures import Targets
from detkit.training import fingerprint
from detkit.training.fingerprint import DataFingerprint, check_data


def data(folder: Path, count: int = 4, names: tuple[str, ...] = ("a", "b"), x: float = 1.0) -> DetectionData:
    folder.mkdir(exist_ok=True)
    records = []
    for number in range(count):
        path = folder / f"{number}.png"
        path.write_bytes(bytes([number]) * (10 + number))
        targets = Targets.of(torch.tensor([[x, 2, 3, 4], [5, 6, 7, 8]]), torch.tensor([0, 1]))
        records.append(ImageRecord(path, number, (20, 30), targets))
    return DetectionData.of("data", names, records)


def changed(old: DataFingerprint, new: DataFingerprint) -> str:
    return new.changes(old)


def test_the_fingerprint_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    first = DataFingerprint.of(data(tmp_path / "one"))
    assert changed(first, DataFingerprint.of(data(tmp_path / "two"))) == ""


def test_every_change_is_named(tmp_path: Path) -> None:
    base = DataFingerprint.of(data(tmp_path))
    assert changed(base, DataFingerprint.of(data(tmp_path, count=3))) == "4 images became 3"
    assert changed(base, DataFingerprint.of(data(tmp_path).take([1, 0, 2, 3]))).startswith("4 images as before, but other ones")
    assert changed(base, DataFingerprint.of(data(tmp_path, x=0.5))).startswith("8 boxes as before, but boxes, classes or flags differ")
    assert changed(base, DataFingerprint.of(data(tmp_path, names=("b", "a")))).startswith("8 boxes as before")
    fewer = data(tmp_path)
    assert changed(replace(base, boxes=9), DataFingerprint.of(fewer)) == "9 boxes became 8"


@pytest.mark.parametrize(("limit", "content", "noticed"), [(1e6, b"x" * 10, True), (0, b"x" * 10, False), (0, b"x" * 11, True)])
def test_small_data_are_compared_by_content_and_large_by_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: float, content: bytes, noticed: bool
) -> None:
    monkeypatch.setattr(fingerprint, "HASHED_BYTES", limit)
    images = data(tmp_path)
    before = DataFingerprint.of(images)
    (tmp_path / "0.png").write_bytes(content)
    assert (changed(before, DataFingerprint.of(images)) == "the content of image files") is noticed
    shutil.rmtree(tmp_path)
    assert changed(before, DataFingerprint.of(images)) == "the content of image files"


@pytest.mark.parametrize(
    ("use", "change", "outcome"),
    [
        ("training data", {"images": 9, "ids": "x"}, "error"),
        ("training data", {"boxes": 9, "labels": "x"}, "error"),
        ("unlabeled data 1", {"ids": "x"}, "error"),
        ("training data", {"files": "x"}, "warning"),
        ("validation data", {"images": 9, "ids": "x"}, "warning"),
        ("training data", {}, ""),
    ],
)
def test_what_a_resumed_run_does(tmp_path: Path, caplog: pytest.LogCaptureFixture, use: str, change: dict[str, Any], outcome: str) -> None:
    now = DataFingerprint.of(data(tmp_path))
    saved = {use: asdict(replace(now, **change))}
    if outcome == "error":
        with pytest.raises(ValueError, match=rf"resume run: the {use} changed since the run was saved: .*restore the data, or start a new"):
            check_data(Path("run"), {use: now}, saved)
    else:
        check_data(Path("run"), {use: now}, saved)
    assert len(caplog.messages) == (outcome == "warning")
    assert all(f"the {use} changed since the run was saved" in message for message in caplog.messages)


def test_states_without_fingerprints_are_resumed(tmp_path: Path) -> None:
    check_data(Path("run"), {"training data": DataFingerprint.of(data(tmp_path))}, {})
