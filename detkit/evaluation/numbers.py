"""What an evaluation gives: numbers with names, for a person, for a program and for a file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

COCO_NAMES: dict[str, str] = {
    "AP": "average precision, mean over IoU .50 to .95",
    "AP50": "average precision at IoU .50",
    "AP75": "average precision at IoU .75",
    "APs": "AP of small objects, under 32 x 32 pixels",
    "APm": "AP of medium objects",
    "APl": "AP of large objects, over 96 x 96 pixels",
    "AR1": "average recall with 1 detection a image and class",
    "AR10": "average recall with 10 detections",
    "AR100": "average recall with 100 detections",
    "ARs": "AR100 of small objects",
    "ARm": "AR100 of medium objects",
    "ARl": "AR100 of large objects",
}
"""The 12 COCO numbers in their usual order, each with what it says."""


@dataclass(frozen=True)
class Counts:
    """How much was evaluated.

    Attributes:
        images: Images.
        boxes: Objects to be found.
        ignored: Crowds (COCO) or difficult objects (VOC): finding them is neither right nor wrong.
        detections: Detections that were judged.
        left_out: What was not, by reason.
    """

    images: int
    boxes: int
    ignored: int
    detections: int
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class CocoClass:
    """The COCO numbers of one class; NaN where the ground truth has no such object.

    Attributes:
        name: The class's name.
        category_id: Its id in the ground truth.
        boxes: Objects to be found.
        detections: Detections of the class.
        ap: AP over IoU .50 to .95.
        ap50: AP at IoU .50.
        ap75: AP at IoU .75.
        ar: AR with 100 detections a image.
    """

    name: str
    category_id: int
    boxes: int
    detections: int
    ap: float
    ap50: float
    ap75: float
    ar: float


@dataclass(frozen=True)
class CocoNumbers:
    """The 12 COCO numbers, by name and for each class: ``numbers["AP50"]``.

    A number for which the ground truth has no object is NaN (pycocotools gives -1), and null in JSON.

    Attributes:
        evaluator: What computed them.
        values: The numbers, by the names in :data:`COCO_NAMES`.
        classes: One row a class of the ground truth, by category id.
        counts: How much was evaluated.
    """

    evaluator: str
    values: Mapping[str, float]
    classes: tuple[CocoClass, ...]
    counts: Counts

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    @property
    def ap(self) -> float:
        """AP, mean over IoU .50 to .95 and over classes: the number a detector is judged by."""
        return self.values["AP"]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON can hold it; NaN becomes None."""
        return {"metric": "coco", **{key: _without_nan(value) for key, value in asdict(self).items()}}


@dataclass(frozen=True)
class VocClass:
    """The VOC average precision of one class at each IoU threshold; NaN where the ground truth has no such object.

    Attributes:
        name: The class's name.
        category_id: Its id in the ground truth.
        boxes: Objects to be found, difficult ones not among them.
        detections: Detections of the class.
        ap: Average precision, in the order of the thresholds.
    """

    name: str
    category_id: int
    boxes: int
    detections: int
    ap: tuple[float, ...]


@dataclass(frozen=True)
class VocNumbers:
    """Pascal VOC's average precision, mean and by class: ``numbers[0.5]`` is the mean at IoU .5.

    Attributes:
        rule: ``"11-point"`` (VOC 2007) or ``"all-point"`` (VOC 2010 and later).
        overlaps: The IoU thresholds.
        values: Mean over the classes that the ground truth has, in the order of the thresholds.
        classes: One row a class of the ground truth, by category id.
        counts: How much was evaluated.
    """

    rule: str
    overlaps: tuple[float, ...]
    values: tuple[float, ...]
    classes: tuple[VocClass, ...]
    counts: Counts

    def __getitem__(self, overlap: float) -> float:
        return self.values[self.overlaps.index(overlap)]

    @property
    def ap(self) -> float:
        """The mean at the first threshold."""
        return self.values[0]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON can hold it; NaN becomes None."""
        return {"metric": "voc", **{key: _without_nan(value) for key, value in asdict(self).items()}}


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_without_nan(item) for item in value]
    return value
