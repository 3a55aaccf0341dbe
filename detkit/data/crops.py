"""Images for classifiers: folders of them as they are, and crops of the objects of a detection data set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from pydantic import Field

from detkit.config import Config
from detkit.data.record_image import whole_image
from detkit.data.records import DetectionData, ImageRecord


class CropConfig(Config):
    """How the objects of a detection data set become images for a classifier."""

    margin: float = Field(default=0.1, ge=0)
    """What is seen round an object on each side, as a share of the longer side of its box."""
    min_side: float = Field(default=8.0, ge=1)
    """Objects with a side below this many pixels are left out."""
    square: bool = True
    """Enlarge the shorter side to the longer one, so that shapes are kept where images become square."""


def images_of(data: DetectionData, config: CropConfig) -> DetectionData:
    """Data for a classifier: as it is if its labels are of whole images, else a image for each object.

    A crop takes in what is round its object and in the image; crowds and objects that are too small are left out.

    Raises:
        ValueError: nothing is left.
    """
    if data.whole:
        return data
    rows = [crop for record in data.records for crop in _crops(record, config)]
    if not rows:
        raise ValueError(
            f"{data.name}: of its {len(data.records.labels)} objects all are crowds, or have a side below {config.min_side:g} pixels, so "
            "there is nothing to cut out; lower data.crops.min_side"
        )
    return replace(DetectionData.of(f"{data.name}, cut out", data.class_names, rows, data.category_ids), report=data.report, whole=True)


def check_classes(train: DetectionData) -> None:
    """Complain where there is nothing to tell apart.

    Raises:
        ValueError: only one class has images.
    """
    seen = np.unique(train.records.labels)
    if len(seen) < 2:
        names = ", ".join(train.class_names[label] for label in seen) or "none"
        raise ValueError(
            f"training data {train.name}: a classifier tells classes apart, and there are images of one alone: {names}; "
            "expected two or more classes"
        )


def _crops(record: ImageRecord, config: CropConfig) -> list[ImageRecord]:
    found = []
    for place, box in enumerate(record.targets.boxes.double().numpy()):
        sides = box[2:] - box[:2]
        if sides.min() < config.min_side or bool(record.targets.is_crowd[place]):
            continue
        half = (np.full(2, sides.max()) if config.square else sides) / 2 + config.margin * sides.max()
        middle, height_width = (box[:2] + box[2:]) / 2, np.array(record.size)
        low = np.floor(np.maximum(middle - half, 0)).astype(int)
        high = np.ceil(np.minimum(middle + half, height_width[::-1])).astype(int)
        size = (int(high[1] - low[1]), int(high[0] - low[0]))
        window = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        label = torch.tensor([int(record.targets.labels[place])])
        found.append(ImageRecord(record.path, f"{record.image_id} object {place + 1}", size, whole_image(size, label), window))
    return found
