"""Limits of a model that its config alone shows: detections per image, and data that its authors would not train it on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detkit.data.checks.findings import Finding, Rule, Severity
from detkit.data.records import DetectionData
from detkit.models.detector import DetectorConfig

TOO_MANY_OBJECTS = Rule(
    "too_many_objects",
    Severity.WARNING,
    "images with more objects than the model detects in an image",
    "raise the number of detections: the other objects cannot be found",
)
UNSUITED_DATA = Rule("unsuited_data", Severity.WARNING, "data from which this model does not learn well", "or use another model")


def too_many_objects(config: DetectorConfig, part: str, data: DetectionData) -> Iterator[Finding]:
    """Find images with more objects than the model reports."""
    key, limit = config.detection_limit
    lengths = data.records.lengths
    images = np.flatnonzero(lengths > limit) if limit is not None else np.zeros(0, np.int64)
    if len(images):
        details = [f"{lengths[image]:,} objects, model.{key} is {limit}" for image in images.tolist()]
        yield Finding.of_images(TOO_MANY_OBJECTS, part, data, images, details=details)


def unsuited_data(config: DetectorConfig, part: str, data: DetectionData) -> Iterator[Finding]:
    """Find properties of the training data that the authors of a model warn of, for a training from the weights of its backbone."""
    warnings = config.data_warnings(len(data), int(data.records.lengths.max(initial=0)))
    if warnings:
        yield Finding.of_texts(UNSUITED_DATA, part, warnings)
