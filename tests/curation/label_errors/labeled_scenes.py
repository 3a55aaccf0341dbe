"""Synthetic images with labels, and the detections of a good detector on them; errors are planted by the tests."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from detkit.curation.label_errors.classes import SharedClasses
from detkit.curation.label_errors.detected import DetectedBoxes
from detkit.curation.label_errors.find import Detected
from detkit.curation.parts import LabeledParts, Part
from detkit.data import DetectionData
from detkit.data.records import ImageRecord, Records
from detkit.structures import Detections, Targets

NAMES = ("cat", "dog", "cup")
SIZE = (200, 300)


class Scenes:
    """``count`` images with three objects each, and their detections; boxes and classes may be changed before :meth:`parts`."""

    def __init__(self, count: int = 40, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.boxes = [self._objects() for _ in range(count)]
        self.labels = [self.random.integers(0, len(NAMES), 3) for _ in range(count)]
        self.crowd = [np.zeros(3, np.bool_) for _ in range(count)]
        self.difficult = [np.zeros(3, np.bool_) for _ in range(count)]
        self.detections = [self._detected(boxes, labels) for boxes, labels in zip(self.boxes, self.labels, strict=True)]

    def _objects(self) -> np.ndarray:
        """Three boxes side by side, which do not overlap."""
        left = np.arange(3) * 100 + self.random.uniform(5, 25, 3)
        top, sides = self.random.uniform(10, 60, 3), self.random.uniform(50, 70, (3, 2))
        return np.stack([left, top, left + sides[:, 0], top + sides[:, 1]], 1).astype(np.float32)

    def _detected(self, boxes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The objects with high scores, and a false alarm with a low one."""
        alarm = np.array([[20, 130, 60, 190]], np.float32)
        found = np.concatenate([boxes + self.random.normal(0, 2, boxes.shape), alarm]).astype(np.float32)
        scores = np.concatenate([self.random.uniform(0.6, 0.95, len(boxes)), self.random.uniform(0.02, 0.2, 1)]).astype(np.float32)
        order = np.argsort(-scores)
        return found[order], scores[order], np.append(labels, self.random.integers(0, len(NAMES)))[order].astype(np.int64)

    def remove(self, image: int, row: int) -> None:
        """Remove a label."""
        for column in (self.boxes, self.labels, self.crowd, self.difficult):
            column[image] = np.delete(column[image], row, 0)

    def parts(self, folder: Path | None = None) -> LabeledParts:
        """The labels as a data set; with a folder, the images are written there."""
        records = [self._record(image, folder or Path("images")) for image in range(len(self.boxes))]
        data = DetectionData("scenes", NAMES, (1, 2, 3), Records.of(records), image_root=str(folder or "images"))
        return LabeledParts("scenes", {"train": Part.of(data)})

    def _record(self, image: int, folder: Path) -> ImageRecord:
        path = folder / f"{image:03d}.png"
        if folder.is_dir():
            pixels = np.full((*SIZE, 3), 90 + image, np.uint8)
            for x1, y1, x2, y2 in self.boxes[image].astype(int).tolist():
                pixels[y1:y2, x1:x2] = 200
            Image.fromarray(pixels).save(path)
        boxes, labels = torch.from_numpy(self.boxes[image]), torch.from_numpy(self.labels[image].astype(np.int64))
        flags = torch.from_numpy(self.crowd[image]), torch.from_numpy(self.difficult[image])
        return ImageRecord(path, image, SIZE, Targets.of(boxes, labels, *flags))

    def detected(self, names: tuple[str, ...] = NAMES, data_names: tuple[str, ...] = NAMES) -> Detected:
        """The detections, by a detector with these classes."""
        return Detected("synthetic", SharedClasses.of(data_names, names), {"train": DetectedBoxes.of(self.detections)})

    def predictor(self, **attributes: Any) -> Any:
        """A detector that returns the detections, image by image."""
        return FakePredictor(self.detections, **attributes)


class FakePredictor:
    """Returns prepared detections in the order of the images."""

    batch_size, class_names, device, precision, max_detections = 1, NAMES, "cpu", "fp32", None

    def __init__(self, detections: list[Any], **attributes: Any) -> None:
        self.detections, self.next = detections, 0
        self.operating_points = None
        self.runtime = SimpleNamespace(info=SimpleNamespace(name="synthetic", classifies=False))
        vars(self).update(attributes)

    def prepare(self, image: Any) -> Any:
        return image

    def detect(self, prepared: list[Any]) -> list[Detections]:
        rows = self.detections[self.next : self.next + len(prepared)]
        self.next += len(prepared)
        return [Detections(*(torch.from_numpy(column) for column in row)) for row in rows]
