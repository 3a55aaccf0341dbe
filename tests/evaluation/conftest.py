"""Fixtures: small ground truth and results, and a dataset whose image files exist."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


@pytest.fixture
def truth() -> dict[str, Any]:
    """Two images; a cat and a dog on the first, a crowd of dogs on the second; no bird anywhere."""
    return {
        "images": [{"id": 10, "width": 100, "height": 80}, {"id": 20, "width": 100, "height": 80}],
        "categories": [{"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}, {"id": 7, "name": "bird"}],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 3, "bbox": [10, 10, 40, 40], "area": 1600, "iscrowd": 0},
            {"id": 2, "image_id": 10, "category_id": 1, "bbox": [60, 10, 20, 20], "area": 400, "iscrowd": 0},
            {"id": 3, "image_id": 20, "category_id": 1, "bbox": [0, 0, 90, 70], "area": 6300, "iscrowd": 1},
        ],
    }


@pytest.fixture
def results() -> list[dict[str, Any]]:
    """The cat is detected, the dog is not: one detection is too far off, another is in the crowd and is ignored."""
    return [
        {"image_id": 10, "category_id": 3, "bbox": [10, 10, 40, 40], "score": 0.9},
        {"image_id": 10, "category_id": 1, "bbox": [75, 10, 20, 20], "score": 0.8},
        {"image_id": 20, "category_id": 1, "bbox": [10, 10, 20, 20], "score": 0.7},
    ]


Write = Callable[[str, Any], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a value as JSON, or a string unchanged, to the temporary folder of the test."""

    def write_file(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def write_images(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Create the image files of a ground truth, add their names to it, and write it to the same folder."""

    def write_dataset(truth: dict[str, Any]) -> Path:
        for row in truth["images"]:
            row["file_name"] = f"{row['id']}.png"
            Image.new("RGB", (row["width"], row["height"])).save(tmp_path / row["file_name"])
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(truth), encoding="utf-8")
        return path

    return write_dataset
