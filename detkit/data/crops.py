"""Data for classifiers: class folders as they are, or crops of the objects of a detection data set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from pydantic import Field

from detkit.config import Config
from detkit.data.record_image import whole_image_targets
from detkit.data.records import DetectionData, ImageRecord
from detkit.ops.windows import Window


class CropConfig(Config):
    """How the objects of a detection data set are cropped to images for a classifier."""

    margin: float = Field(default=0.1, ge=0)
    """Margin around an object on each side, as a fraction of the longer side of its box."""
    min_side: float = Field(default=8.0, ge=1)
    """Objects with a side below this many pixels are skipped."""
    square: bool = True
    """Extend the shorter side to the longer one, which keeps the aspect ratio where images are resized to squares."""


def classification_data(data: DetectionData, config: CropConfig) -> DetectionData:
    """Return data for a classifier: unchanged if its labels are of whole images, else one crop per object.

    A crop includes the margin where it is inside the image. Crowds and objects that are too small are skipped.

    Raises:
        ValueError: If no object remains.
    """
    if data.is_classification:
        return data
    rows = [crop for record in data.records for crop in _crops(record, config)]
    if not rows:
        raise ValueError(
            f"{data.name}: all of its {len(data.records.labels)} objects are crowds, or have a side below {config.min_side:g} pixels, so "
            "there is nothing to crop; lower data.crops.min_side"
        )
    cropped = DetectionData.of(f"{data.name}, cut out", data.class_names, rows, data.category_ids)
    return replace(cropped, report=data.report, is_classification=True)


def require_two_classes(train: DetectionData) -> None:
    """Check that a classifier has at least two classes to distinguish.

    Raises:
        ValueError: If only one class has images.
    """
    present = np.unique(train.records.labels)
    if len(present) < 2:
        names = ", ".join(train.class_names[label] for label in present) or "none"
        raise ValueError(f"training data {train.name}: expected images of two or more classes for a classifier, got images of {names} only")


def _crops(record: ImageRecord, config: CropConfig) -> list[ImageRecord]:
    crops = []
    for index, box in enumerate(record.targets.boxes.double().numpy()):
        sides = box[2:] - box[:2]
        if sides.min() < config.min_side or bool(record.targets.is_crowd[index]):
            continue
        half = (np.full(2, sides.max()) if config.square else sides) / 2 + config.margin * sides.max()
        center, height_width = (box[:2] + box[2:]) / 2, np.array(record.size)
        low = np.floor(np.maximum(center - half, 0)).astype(int)
        high = np.ceil(np.minimum(center + half, height_width[::-1])).astype(int)
        window = Window(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        label = torch.tensor([int(record.targets.labels[index])])
        image_id = f"{record.image_id} object {index + 1}"
        crops.append(ImageRecord(record.path, image_id, window.size, whole_image_targets(window.size, label), window))
    return crops
