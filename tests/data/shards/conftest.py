from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detkit.curation.parts import read_splits
from detkit.data import DetectionData, SourceConfig
from detkit.data.shards.writer import write_shards

RLE = {"size": [40, 60], "counts": "PPk11O1O1O"}
MEGABYTES = 0.008


def write_coco(folder: Path) -> Path:
    """Write two splits as COCO: polygons, run lengths, a crowd, a clipped box, a skipped one, and an image without objects."""
    random = np.random.default_rng(0)
    for split, count in (("train", 7), ("val", 3)):
        images, annotations = [], []
        for number in range(count):
            name = f"day {number % 2}/{split}.{number}.{'JPG' if number % 3 else 'png'}"
            path = folder / "images" / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(path)
            images.append({"id": 100 + number, "file_name": name, "width": 60, "height": 40})
            if number == 2:
                continue
            rows = [
                {"bbox": [1.23, 2.5, 20.01, 10], "area": 150.5, "segmentation": [[1.23, 2.5, 20.1, 2.5, 20.1, 12.5]]},
                {"bbox": [30, 5, 25.37, 20], "area": 300, "segmentation": RLE, "iscrowd": 1},
                {"bbox": [40, 30, 30, 30], "category_id": 9},
            ]
            rows += [{"bbox": [5, 5, 0, 3]}] if number == 1 else []
            annotations += [{"category_id": 4 + number % 2, "iscrowd": 0, "image_id": 100 + number, **row} for row in rows]
        for number, row in enumerate(annotations, 1):
            row["id"] = number
        categories = [{"id": 4, "name": "cat"}, {"id": 5, "name": "dog"}, {"id": 9, "name": "Ignore"}]
        path = folder / "annotations" / f"instances_{split}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return folder


@pytest.fixture(scope="package")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coco(tmp_path_factory.mktemp("source") / "data")


@pytest.fixture(scope="package")
def splits(source: Path) -> dict[str, DetectionData]:
    return read_splits(SourceConfig(path=str(source)))


@pytest.fixture(scope="package")
def shards(splits: dict[str, DetectionData], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "shards"
    write_shards(splits, folder, MEGABYTES)
    return folder
