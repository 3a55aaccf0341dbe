"""From the scores of one image to its candidates: one for each label, one for each object without a label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from detkit.arrays import Doubles, Features, Flags, Integers
from detkit.curation.label_errors.candidates import Box, Candidate, ErrorKind
from detkit.curation.label_errors.classes import SharedClasses
from detkit.curation.label_errors.features import NEAR_IOU, SUPPORT_IOU
from detkit.curation.label_errors.overlaps import Scene, iou_matrix, largest
from detkit.curation.label_errors.scoring import SceneScores

DUPLICATE_IOU = 0.5
"""Of missing boxes that overlap more than this only the most probable one is a candidate."""
DIFFICULT_FACTOR = 0.5
"""The score of a label that is marked as difficult is multiplied by this: who marked it has looked twice."""
LEAST_QUALITY = 0.2
"""Least probability of a detection that is suggested as the right box or class of a label."""


@dataclass(frozen=True, eq=False)
class Subject:
    """The image that candidates are about.

    Attributes:
        part: Name of the part.
        image: Index in its records.
        file: Path in the image folder.
        rows: ``(N,)`` number of each label among the objects of the image, from 0, crowds counted.
        labels: ``(N,)`` their classes in the data.
        is_difficult: ``(N,)`` whether they are marked as difficult.
    """

    part: str
    image: int
    file: str
    rows: Integers
    labels: Integers
    is_difficult: Flags


def select(subject: Subject, scene: Scene, scores: SceneScores, classes: SharedClasses, min_score: float) -> list[Candidate]:
    """Return the candidates of an image with at least this score."""
    labels = list(_labels(subject, scene, scores, classes, min_score))
    explained = {detection: candidate.score for candidate, detection in labels}
    missing = _missing(scene, scores.missing, min_score)
    return [
        *(candidate for candidate, _ in labels),
        *(_missing_candidate(subject, scene, scores, classes, one) for one in missing if scores.missing[one] > explained.get(one, 0.0)),
    ]


def _missing(scene: Scene, scores: Doubles, min_score: float) -> Iterator[int]:
    """Yield detections of objects without a label, most probable first, each object once."""
    chosen: list[int] = []
    for one in np.argsort(-scores, kind="stable").tolist():
        if scores[one] < min_score:
            return
        if not chosen or iou_matrix(scene.detected[[one]], scene.detected[chosen]).max() <= DUPLICATE_IOU:
            chosen.append(one)
            yield one


def _missing_candidate(subject: Subject, scene: Scene, scores: SceneScores, classes: SharedClasses, one: int) -> Candidate:
    name, box = classes.data_name(int(scene.detected_labels[one])), _box(scene.detected[one])
    score, own = float(scores.missing[one]), float(scene.scores[one])
    return Candidate(ErrorKind.MISSING, subject.part, subject.image, subject.file, None, "", None, name, box, score, own)


def _labels(
    subject: Subject, scene: Scene, scores: SceneScores, classes: SharedClasses, min_score: float
) -> Iterator[tuple[Candidate, int]]:
    """Yield the candidates about labels, each with the detection that is suggested, -1 without one."""
    factors = np.where(subject.is_difficult, DIFFICULT_FACTOR, 1.0)
    best = np.maximum(scores.box, scores.class_) * factors
    for label in np.flatnonzero(best >= min_score).tolist():
        kind = ErrorKind.CLASS if scores.class_[label] > scores.box[label] else ErrorKind.BOX
        detection = suggestion(scene, scores.qualities, label, kind)
        if kind is ErrorKind.CLASS and detection < 0:
            kind, detection = ErrorKind.BOX, suggestion(scene, scores.qualities, label, ErrorKind.BOX)
        yield _label_candidate(subject, scene, classes, (label, kind, detection), float(best[label])), detection


def _label_candidate(subject: Subject, scene: Scene, classes: SharedClasses, found: tuple[int, ErrorKind, int], score: float) -> Candidate:
    label, kind, detection = found
    name = "" if detection < 0 else classes.data_name(int(scene.detected_labels[detection]))
    own_name = classes.data_names[int(subject.labels[label])]
    return Candidate(
        kind,
        subject.part,
        subject.image,
        subject.file,
        int(subject.rows[label]) + 1,
        own_name,
        _box(scene.boxes[label]),
        own_name if name and kind is ErrorKind.BOX else name,
        None if detection < 0 or kind is ErrorKind.CLASS else _box(scene.detected[detection]),
        score,
        None if detection < 0 else float(scene.scores[detection]),
        bool(subject.is_difficult[label]),
    )


def suggestion(scene: Scene, qualities: Doubles, label: int, kind: ErrorKind) -> int:
    """Return the detection that shows the right class, or the right box, of a label; -1 if there is none."""
    ious: Features = iou_matrix(scene.boxes[[label]], scene.detected)[0]
    same, others = scene.detected_labels == scene.labels[label], _best_of_others(scene, label)
    if kind is ErrorKind.CLASS:
        allowed = ~same & (ious >= SUPPORT_IOU) & (others < SUPPORT_IOU)
    else:
        allowed = same & (ious >= NEAR_IOU) & (others <= ious)
    values = np.where(allowed & (qualities >= LEAST_QUALITY), qualities, 0.0)
    return int(values.argmax()) if values.any() else -1


def _best_of_others(scene: Scene, label: int) -> Features:
    """Return for each detection its largest IoU with other labels of its class."""
    others = np.arange(len(scene.labels)) != label
    same = scene.labels[others, None] == scene.detected_labels[None]
    return largest(np.where(same, iou_matrix(scene.boxes[others], scene.detected), 0.0), 0)


def _box(box: Features) -> Box:
    x1, y1, x2, y2 = (round(float(value), 2) for value in box)
    return x1, y1, x2, y2
