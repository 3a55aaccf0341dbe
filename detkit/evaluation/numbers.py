"""Results of an evaluation: named COCO and Pascal VOC metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from detkit.checkpoint.atomic import finite

COCO_NAMES: dict[str, str] = {
    "AP": "average precision, mean over IoU .50 to .95",
    "AP50": "average precision at IoU .50",
    "AP75": "average precision at IoU .75",
    "APs": "AP of small objects, under 32 x 32 pixels",
    "APm": "AP of medium objects",
    "APl": "AP of large objects, over 96 x 96 pixels",
    "AR1": "average recall with 1 detection per image and class",
    "AR10": "average recall with 10 detections",
    "AR100": "average recall with 100 detections",
    "ARs": "AR100 of small objects",
    "ARm": "AR100 of medium objects",
    "ARl": "AR100 of large objects",
}
"""The 12 COCO metrics in their usual order, with descriptions."""

SEGM_PREFIX = "segm_"
"""Beginning of the names of the metrics of masks where they are listed with those of boxes, such as ``segm_AP``."""


@dataclass(frozen=True)
class Counts:
    """Numbers of evaluated images, objects and detections.

    Attributes:
        images: Number of images.
        boxes: Number of objects to detect.
        ignored: Number of crowds (COCO) or difficult objects (VOC): detecting them is neither correct nor wrong.
        detections: Number of evaluated detections.
        left_out: Number of skipped boxes and detections, by reason.
    """

    images: int
    boxes: int
    ignored: int
    detections: int
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class CocoClass:
    """COCO metrics of one class; NaN where the ground truth has no such object.

    Attributes:
        name: Name of the class.
        category_id: Category id in the ground truth.
        boxes: Number of objects to detect.
        detections: Number of detections of the class.
        ap: AP over IoU .50 to .95.
        ap50: AP at IoU .50.
        ap75: AP at IoU .75.
        ar: AR with 100 detections per image.
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
    """The 12 COCO metrics, overall and per class: ``numbers["AP50"]``.

    A metric for which the ground truth has no objects is NaN (pycocotools gives -1), and null in JSON.

    Attributes:
        evaluator: Name of the evaluator that computed the metrics.
        values: The metrics, by the names in :data:`COCO_NAMES`.
        classes: Metrics of each class of the ground truth, in the order of category ids.
        counts: Numbers of evaluated images, objects and detections.
        segm: The metrics of masks, if the detections and the ground truth have masks; these here are of boxes.
    """

    evaluator: str
    values: Mapping[str, float]
    classes: tuple[CocoClass, ...]
    counts: Counts
    segm: CocoNumbers | None = None

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    @property
    def all_values(self) -> dict[str, float]:
        """The metrics of boxes, and those of masks if there are any, by names such as ``segm_AP``."""
        masks = {} if self.segm is None else self.segm.values
        return {**self.values, **{SEGM_PREFIX + name: value for name, value in masks.items()}}

    @property
    def ap(self) -> float:
        """AP, averaged over IoU .50 to .95 and over classes: the primary COCO metric."""
        return self.values["AP"]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serializable dict, with None for NaN; the metrics of masks, if there are any, are under ``segm``."""
        return {"metric": "coco", **self._content()}

    def _content(self) -> dict[str, Any]:
        values = {key: finite(value) for key, value in asdict(replace(self, segm=None)).items() if key != "segm"}
        return values if self.segm is None else {**values, "segm": self.segm._content()}


@dataclass(frozen=True)
class VocClass:
    """VOC average precision of one class at each IoU threshold; NaN where the ground truth has no such object.

    Attributes:
        name: Name of the class.
        category_id: Category id in the ground truth.
        boxes: Number of objects to detect, without difficult ones.
        detections: Number of detections of the class.
        ap: Average precision at each threshold.
    """

    name: str
    category_id: int
    boxes: int
    detections: int
    ap: tuple[float, ...]


@dataclass(frozen=True)
class VocNumbers:
    """Pascal VOC average precision, overall and per class: ``numbers[0.5]`` is the mean at IoU .5.

    Attributes:
        rule: ``"11-point"`` (VOC 2007) or ``"all-point"`` (VOC 2010 and later).
        iou_thresholds: The IoU thresholds.
        values: Mean over the classes with ground truth, at each threshold.
        classes: Metrics of each class of the ground truth, in the order of category ids.
        counts: Numbers of evaluated images, objects and detections.
    """

    rule: str
    iou_thresholds: tuple[float, ...]
    values: tuple[float, ...]
    classes: tuple[VocClass, ...]
    counts: Counts

    def __getitem__(self, iou_threshold: float) -> float:
        return self.values[self.iou_thresholds.index(iou_threshold)]

    @property
    def ap(self) -> float:
        """Mean AP at the first threshold."""
        return self.values[0]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serializable dict, with None for NaN."""
        names = {"iou_thresholds": "overlaps"}  # the key in files
        return {"metric": "voc", **{names.get(key, key): finite(value) for key, value in asdict(self).items()}}
