"""Labels of many images take about the memory of their file, and of their numbers when they are read."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detkit import json_lists
from detkit.data.readers import ReadOptions, assemble
from detkit.data.readers.coco.reader import CocoReader


def test_reading_coco_takes_the_memory_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    images = [{"id": number, "file_name": f"{number:012d}.jpg", "width": 640, "height": 480} for number in range(600)]
    boxes = random.uniform(1, 200, (9_000, 4)).round(2).tolist()
    annotations = [
        {"id": number, "image_id": number % 600, "category_id": 1, "bbox": box, "area": 3.5, "segmentation": [[1.25] * 60]}
        for number, box in enumerate(boxes)
    ]
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}))
    size, names = path.stat().st_size, [entry["file_name"] for entry in images]
    del images, boxes, annotations
    for name in names:
        (tmp_path / str(name)).touch()
    monkeypatch.setattr(assemble, "stored_size", lambda path: ((480, 640), 1))
    monkeypatch.setattr(json_lists, "BLOCK", 30_000)
    tracemalloc.start()
    try:
        data = CocoReader().read(path, ReadOptions())
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    records = data.records
    assert len(records.boxes) == 9_000
    assert peak < 0.75 * size  # parsing it as a whole takes 6 times its size
    assert kept < 0.2 * size
    assert records.segmentations is not None
    assert records.segmentations.stored(8_999) == [[1.25] * 60]
    columns: list[Any] = [value for value in records.columns.values() if isinstance(value, np.ndarray)]
    assert sum(column.nbytes for column in columns) == 9_000 * 31
