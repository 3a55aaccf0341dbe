"""A small data set with results that have every kind of mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NAMES = ("cat", "犬 <dog>", "all", "unused")
SIZE = (120, 160)


def write_scene(folder: Path, images: int = 6, seed: int = 0) -> None:
    """Write ``images/*.png``, ``gt.json`` and ``dt.json`` into a folder.

    Half of the objects are found, the others are missed, found twice, found as another class or badly, and there are false alarms.
    """
    random = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    truth: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 2 * n + 1, "name": name} for n, name in enumerate(NAMES)],
    }
    results = []
    for image_id in range(1, images + 1):
        name = f"image {image_id} é.png"
        Image.fromarray(random.integers(0, 255, (*SIZE, 3), dtype=np.uint8)).save(folder / "images" / name)
        truth["images"].append({"id": image_id, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
        for number in range(0 if image_id == 2 else 5):
            box = [number * 30.0 + 2, 10.0 + 8 * image_id, 25.0, 30.0 + number]
            category = 1 + 2 * (number % 3)
            truth["annotations"].append(
                {"id": len(truth["annotations"]) + 1, "image_id": image_id, "category_id": category, "bbox": box, "iscrowd": 0}
            )
            case = (image_id + number) % 6
            shift = 12.0 if case == 4 else float(random.random())
            found = {
                "image_id": image_id,
                "category_id": category,
                "bbox": [box[0] + shift, *box[1:]],
                "score": float(random.uniform(0.5, 1)),
            }
            if case == 3:
                found["category_id"] = 1 if category != 1 else 3
            results += [] if case == 2 else [found]
            results += [{**found, "score": found["score"] * 0.9}] if case == 5 else []
        results.append({"image_id": image_id, "category_id": 1, "bbox": [128.0, 95.0, 20.0, 20.0], "score": 0.6 + 0.06 * image_id})
    (folder / "gt.json").write_text(json.dumps(truth), "utf-8")
    (folder / "dt.json").write_text(json.dumps(results), "utf-8")


def with_masks(folder: Path) -> None:
    """Add masks to the files of :func:`write_scene`: of objects ellipses in their boxes, of detections polygons of eight corners."""
    angles = np.arange(8) * np.pi / 4
    for name, corners in (("gt.json", np.arange(64) * np.pi / 32), ("dt.json", angles)):
        content = json.loads((folder / name).read_text("utf-8"))
        for row in content["annotations"] if isinstance(content, dict) else content:
            x, y, width, height = row["bbox"]
            points = np.stack([x + width / 2 * (1 + np.cos(corners)), y + height / 2 * (1 + np.sin(corners))], 1)
            row["segmentation"] = [points.reshape(-1).tolist()]
        (folder / name).write_text(json.dumps(content), "utf-8")
