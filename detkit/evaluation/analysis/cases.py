"""Detections and objects of an image side by side: correct pairs and the mistakes of each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["correct", "miss", "false alarm", "wrong class", "duplicate", "poor localization"]

MISTAKES: dict[Kind, str] = {
    "miss": "object without any detection of its class near it",
    "false alarm": "detection where no object is",
    "wrong class": "object detected as another class",
    "duplicate": "second detection of a detected object",
    "poor localization": "right class, but IoU from .1 to .5",
}
"""The kinds of mistakes."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Case:
    """A detection, an object, or a pair of both, at the score of the analysis.

    Attributes:
        kind: ``"correct"``, or a key of :data:`MISTAKES`.
        image_id: Image id in the ground truth; :meth:`~detkit.evaluation.ground_truth.GroundTruth.image_name` has its file.
        true_class: Category id of the object; None for a false alarm.
        detected_class: Category id of the detection; None for a miss.
        score: Score of the detection; None for a miss.
        iou: IoU of the two boxes; None if there is only one.
        box: Box of the detection, ``x1 y1 x2 y2``; None for a miss.
        true_box: Box of the object; None for a false alarm.
        detection: Row of the detection in the results; None for a miss.
        target: Row of the object in the ground truth's annotations; None for a false alarm.
    """

    kind: Kind
    image_id: int
    true_class: int | None
    detected_class: int | None
    score: float | None
    iou: float | None
    box: Box | None
    true_box: Box | None
    detection: int | None
    target: int | None


@dataclass(frozen=True)
class ImageMistakes:
    """Numbers of cases of an image.

    Attributes:
        image_id: Image id in the ground truth.
        name: File name of the image.
        objects: Number of objects to detect.
        correct: Number of correct detections.
        wrong: Number of wrong detections.
        missed: Number of objects without a correct detection.
    """

    image_id: int
    name: str
    objects: int
    correct: int
    wrong: int
    missed: int
