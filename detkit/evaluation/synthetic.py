"""Synthetic ground truth and results of any size, for benchmarks and tests of the evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

_WIDTH, _HEIGHT = 640, 480


def write_synthetic_coco(
    folder: str | Path, images: int = 5000, detections: int = 470_000, classes: int = 80, seed: int = 0
) -> tuple[Path, Path]:
    """Write ``annotations.json`` and ``results.json`` resembling a detector on COCO's validation set.

    Images have 7.4 objects on average, of up to three classes. About a third of the detections are near an object, the rest anywhere.

    Returns:
        The paths of the two files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    truth, results = synthetic_coco(images, detections, classes, seed)
    paths = folder / "annotations.json", folder / "results.json"
    for path, content in zip(paths, (truth, results), strict=True):
        path.write_text(json.dumps(content), encoding="utf-8")
    return paths


def synthetic_coco(images: int, detections: int, classes: int, seed: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a COCO dict and COCO results, deterministic for the same arguments."""
    rng = np.random.default_rng(seed)
    image = np.repeat(np.arange(images), rng.poisson(7.4, images)) if images else np.zeros(0, np.int64)
    boxes = _boxes(rng, len(image))
    labels = rng.integers(0, classes, (images, 3))[image, rng.integers(0, 3, len(image))]
    near = rng.integers(0, max(len(image), 1), detections // 3 if len(image) else 0)
    jittered = np.maximum(boxes[near] + rng.normal(0, 0.12, (len(near), 4)) * boxes[near][:, [2, 3, 2, 3]], [-8, -8, 1, 1])
    elsewhere = detections - len(near)
    result_boxes = np.concatenate([jittered, _boxes(rng, elsewhere)])
    result_image = np.concatenate([image[near], rng.integers(0, images, elsewhere)])
    result_labels = np.concatenate([labels[near], rng.integers(0, classes, elsewhere)])
    scores = rng.random(detections) ** 2
    order = rng.permutation(detections)
    crowd = rng.random(len(image)) < 0.01
    results = _results(result_image[order], result_labels[order], result_boxes[order], scores)
    return _truth(images, classes, image, labels, boxes, crowd), results


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    sides = np.exp(rng.uniform(2, 5.7, (count, 2)))
    corners = rng.random((count, 2)) * (np.array([_WIDTH, _HEIGHT]) - sides)
    return np.concatenate([corners, sides], axis=1)


def _truth(images: int, classes: int, image: Any, labels: Any, boxes: Any, crowd: Any) -> dict[str, Any]:
    rows = zip(image.tolist(), labels.tolist(), np.round(boxes, 2).tolist(), crowd.tolist(), strict=True)
    return {
        "images": [{"id": i + 1, "file_name": f"{i + 1:012d}.jpg", "width": _WIDTH, "height": _HEIGHT} for i in range(images)],
        "categories": [{"id": c + 1, "name": f"class {c + 1}"} for c in range(classes)],
        "annotations": [
            {"id": n + 1, "image_id": i + 1, "category_id": c + 1, "bbox": b, "area": round(b[2] * b[3], 2), "iscrowd": int(is_crowd)}
            for n, (i, c, b, is_crowd) in enumerate(rows)
        ],
    }


def _results(image: Any, labels: Any, boxes: Any, scores: Any) -> list[dict[str, Any]]:
    rows = zip(image.tolist(), labels.tolist(), np.round(boxes, 2).tolist(), np.round(scores, 5).tolist(), strict=True)
    return [{"image_id": i + 1, "category_id": c + 1, "bbox": b, "score": s} for i, c, b, s in rows]
