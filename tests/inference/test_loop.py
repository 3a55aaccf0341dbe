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
    rows = []
    for i in range(count):
        path = saved(folder, f"{i}.png", image(*sizes[i % 3], red=(1 + i, 20, 39, 40)))
        rows.append(ImageRecord(path, f"id{i}", sizes[i % 3], Targets.empty()))
    return rows


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (2, 3), (4, 2)])
def test_detections_are_in_the_order_of_the_records(tmp_path: Path, batch_size: int, threads: int) -> None:
    rows = records(tmp_path, 11)
    run = predictor(60, batch_size=batch_size)
    data = DetectionData.of("test", ("red", "green"), rows)
    pairs = list(detect_records(run, data, threads=threads))
    assert [record.image_id for record, _ in pairs] == [f"id{i}" for i in range(11)]
    assert [float(d.boxes[0, 0]) for _, d in pairs] == pytest.approx([1 + i for i in range(11)], abs=0.8)
    if batch_size > 1:
        assert max(run.detector.calls) == batch_size
    for (_, detections), record in zip(pairs, rows, strict=True):
        torch.testing.assert_close(detections.boxes, run(record.path).boxes)


def test_no_records() -> None:
    assert list(detect_records(predictor(), [])) == []


def test_closing_early_stops_the_reader_threads(tmp_path: Path) -> None:
    before = set(threading.enumerate())  # other tests may have readers that wait for the garbage collector
    loop = detect_records(predictor(60), records(tmp_path, 6))
    next(loop)
    assert any(thread.name.startswith("reader_") for thread in set(threading.enumerate()) - before)
    loop.close()  # type: ignore[attr-defined]
    assert not set(threading.enumerate()) - before


def test_error_names_the_missing_image(tmp_path: Path) -> None:
    rows = records(tmp_path, 3)
    (tmp_path / "1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1\.png"):
        list(detect_records(predictor(60), rows))


def test_size_that_differs_from_the_record(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", image(60, 80))
    with pytest.raises(ValueError, match=r"a\.png: expected 60 x 80 pixels as in its annotation, got 80 x 60"):
        list(detect_records(predictor(60), [ImageRecord(path, 1, (80, 60), Targets.empty())]))


def test_unreadable_files_do_not_stop(tmp_path: Path) -> None:
    good = [saved(tmp_path, f"{i}.png", image(red=(1 + i, 20, 30, 40))) for i in range(4)]
    (tmp_path / "empty.jpg").touch()
    paths = [good[0], tmp_path / "empty.jpg", good[1], tmp_path / "none.png", *good[2:]]
    results = list(detect_files(predictor(60, batch_size=2), paths))
    assert [result.path for result in results] == paths
    assert [result.error is None for result in results] == [True, False, True, False, True, True]
    assert "empty" in str(results[1].error)
    assert results[1].detections is None
    assert [int(o.detections.boxes[0, 0]) for o in results if o.detections is not None] == [1, 2, 3, 4]
