"""A detector for tests that needs no network: its detections depend on the pixels of an image alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from detkit.bulk import Listing, Shard, ShardInfo, list_images
from detkit.structures.detection import DetectionArrays

CLASS_NAMES = ("dark", None, "bright")


class Brightness:
    """Reports as many boxes as the remainder of the red value of the first pixel by 3: none on black images."""

    batch_size, class_names, max_detections = 2, CLASS_NAMES, None

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.images = 0

    def prepare(self, image: Any) -> Any:
        return image

    def detect(self, prepared: Sequence[Any]) -> list[DetectionArrays]:
        self.images += len(prepared)
        time.sleep(self.seconds * len(prepared))
        return [self._detections(image) for image in prepared]

    def _detections(self, image: Any) -> DetectionArrays:
        value = int(image[0, 0, 0])
        count = value % 3
        boxes = np.array([[index, 1, value / 7, 9] for index in range(count)], np.float32).reshape(-1, 4)
        scores = np.linspace(1, value / 300, count).astype(np.float32)
        return DetectionArrays(boxes, scores, np.full(count, 2 * (value > 128), np.int64), CLASS_NAMES)


def write_images(folder: Path, count: int = 20) -> Path:
    """Write small images, of which the first is black, and a file that is no image; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new("RGB", (8 + index % 3, 6), (11 * index % 256, 0, 0)).save(folder / f"{index:03d}.png")
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def info_of(listing: Listing, shard: Shard, changes: dict[str, Any]) -> ShardInfo:
    given: dict[str, Any] = {"model": "brightness", "model_sha256": "0" * 64, "class_names": CLASS_NAMES, "settings": {"min_score": 0.5}}
    given |= {"images": len(listing.paths), "listed": listing.count, "listing": listing.digest, "machine": {"device": "cpu"}}
    return replace(ShardInfo(shard=shard, **given), **changes)


def listed(folder: Path, shard: Shard, **changes: Any) -> tuple[Listing, ShardInfo]:
    listing = list_images([str(folder)], shard)
    return listing, info_of(listing, shard, changes)
