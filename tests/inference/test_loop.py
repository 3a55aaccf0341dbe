from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from bright import image, predictor, saved

from detkit.data.records import DetectionData, ImageRecord
from detkit.inference import detect_files, detect_records
from detkit.structures import Targets


def records(folder: Path, count: int) -> list[ImageRecord]:
    sizes = [(60, 80), (90, 80), (60, 120)]
    made = []
    for i in range(count):
        path = saved(folder, f"{i}.png", image(*sizes[i % 3], red=(1 + i, 20, 39, 40)))
        made.append(ImageRecord(path, f"id{i}", sizes[i % 3], Targets.empty()))
    return made


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (2, 3), (4, 2)])
def test_records_come_in_order_with_their_detections(tmp_path: Path, batch_size: int, threads: int) -> None:
    rows = records(tmp_path, 11)
    run = predictor(60, batch_size=batch_size)
    data = DetectionData.of("test", ("red", "green"), rows)
    found = list(detect_records(run, data, threads=threads))
    assert [record.image_id for record, _ in found] == [f"id{i}" for i in range(11)]
    assert [float(d.boxes[0, 0]) for _, d in found] == pytest.approx([1 + i for i in range(11)], abs=0.8)
    if batch_size > 1:
        assert max(run.detector.calls) == batch_size
    for (_, looped), record in zip(found, rows, strict=True):
        torch.testing.assert_close(looped.boxes, run(record.path).boxes)


def test_no_records() -> None:
    assert list(detect_records(predictor(), [])) == []


def test_stopping_early_ends_the_readers(tmp_path: Path) -> None:
    loop = detect_records(predictor(60), records(tmp_path, 6))
    next(loop)
    assert any(thread.name.startswith("reader") for thread in threading.enumerate())
    loop.close()  # type: ignore[attr-defined]
    assert not any(thread.name.startswith("reader") for thread in threading.enumerate())


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    rows = records(tmp_path, 3)
    (tmp_path / "1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1\.png"):
        list(detect_records(predictor(60), rows))


def test_a_size_that_is_not_the_records(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", image(60, 80))
    with pytest.raises(ValueError, match=r"a\.png: its annotation says 60 x 80, the file has 80 x 60"):
        list(detect_records(predictor(60), [ImageRecord(path, 1, (80, 60), Targets.empty())]))


def test_files_that_cannot_be_read_stop_nothing(tmp_path: Path) -> None:
    good = [saved(tmp_path, f"{i}.png", image(red=(1 + i, 20, 30, 40))) for i in range(4)]
    (tmp_path / "empty.jpg").touch()
    paths = [good[0], tmp_path / "empty.jpg", good[1], tmp_path / "none.png", *good[2:]]
    outcomes = list(detect_files(predictor(60, batch_size=2), paths))
    assert [outcome.path for outcome in outcomes] == paths
    assert [outcome.error is None for outcome in outcomes] == [True, False, True, False, True, True]
    assert "empty" in str(outcomes[1].error)
    assert outcomes[1].detections is None
    assert [int(o.detections.boxes[0, 0]) for o in outcomes if o.detections is not None] == [1, 2, 3, 4]
