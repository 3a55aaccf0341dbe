"""Find labels that are probably wrong with a trained detector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from detkit.arrays import Flags, Floats
from detkit.curation.label_errors.candidates import Candidate, LabelErrors
from detkit.curation.label_errors.classes import SharedClasses
from detkit.curation.label_errors.detected import DetectedBoxes, Progress, detect
from detkit.curation.label_errors.overlaps import CROWD_SHARE, Scene, share_inside
from detkit.curation.label_errors.scoring import score_scenes
from detkit.curation.label_errors.selection import Subject, select
from detkit.curation.parts import LabeledParts, Part, box_counts
from detkit.inference import ImagePyramid, Predictor
from detkit.inference.loop import PredictorLike

MIN_SCORE = 0.05
"""Lowest score of a candidate: below it an error is hardly more probable than for any label."""


@dataclass(frozen=True)
class Detected:
    """The detections of a data set, so that candidates can be found again without running the detector.

    Attributes:
        model: Name of the detector.
        classes: Its classes, matched with those of the data.
        boxes: The detections of each part.
        predictor: The detector.
    """

    model: str
    classes: SharedClasses
    boxes: Mapping[str, DetectedBoxes]
    predictor: PredictorLike | None = None


def find_label_errors(
    parts: LabeledParts,
    predictor: PredictorLike,
    *,
    renames: Mapping[str, str] | None = None,
    min_score: float = MIN_SCORE,
    progress: Progress = iter,
) -> LabelErrors:
    """Return labels that a detector contradicts, and objects that it finds without a label.

    Args:
        parts: The data.
        predictor: The detector; it runs without its operating points. One that was not trained on these labels finds more.
        renames: Class names of the data and the corresponding names of the detector: ``{"tvmonitor": "tv"}``.
        min_score: Lowest score of a candidate.
        progress: Wraps the iterable of the images of each part, to show the progress.

    Raises:
        FileNotFoundError: If an image is missing.
        ValueError: If the detector has none of the data's classes, it is a classifier, or an image cannot be read.
    """
    return candidates_of(parts, detect_parts(parts, predictor, renames, progress), min_score)


def detect_parts(
    parts: LabeledParts, predictor: PredictorLike, renames: Mapping[str, str] | None = None, progress: Progress = iter
) -> Detected:
    """Run a detector on all images; see :func:`find_label_errors`."""
    if isinstance(predictor, Predictor) and predictor.runtime.info.classifies:
        raise ValueError(f"{predictor.runtime.info.name}: expected a detector, got a classifier, which predicts no boxes")
    classes = SharedClasses.of(parts.class_names, predictor.class_names, renames)
    if isinstance(predictor, (Predictor, ImagePyramid)):
        predictor = predictor.without_operating_points()
    boxes = {name: detect(predictor, part.data, progress) for name, part in parts}
    return Detected(_name(predictor), classes, boxes, predictor)


def candidates_of(parts: LabeledParts, detected: Detected, min_score: float = MIN_SCORE) -> LabelErrors:
    """Return the candidates among labels whose images a detector has seen; see :func:`find_label_errors`."""
    classes, images = detected.classes, list(_images(parts, detected))
    points = getattr(detected.predictor, "operating_points", None)
    scores = score_scenes([scene for _, scene in images], classes.count, classes.thresholds(points))
    found: list[Candidate] = []
    for (subject, scene), scored in zip(images, scores, strict=True):
        found += select(subject, scene, scored, classes, min_score)
    unknown = {name: count for name, count in _label_counts(parts).items() if not classes.known[parts.class_names.index(name)]}
    return LabelErrors(
        parts.name,
        detected.model,
        tuple(sorted(found, key=lambda one: -one.score)),
        parts.image_count,
        sum(int(scene.known.sum()) for _, scene in images),
        {name: count for name, count in unknown.items() if count},
        classes.unused,
    )


def with_warnings(errors: LabelErrors, *lines: str) -> LabelErrors:
    """Return the same result with further warnings."""
    return replace(errors, warnings=(*errors.warnings, *lines))


def _images(parts: LabeledParts, detected: Detected) -> Iterator[tuple[Subject, Scene]]:
    for name, part in parts:
        for image in range(len(part)):
            yield _image(name, part, image, detected)


def _image(name: str, part: Part, image: int, detected: Detected) -> tuple[Subject, Scene]:
    records, boxes, classes = part.data.records, detected.boxes[name], detected.classes
    rows, own = slice(records.offsets[image], records.offsets[image + 1]), slice(boxes.offsets[image], boxes.offsets[image + 1])
    crowd = records.is_crowd[rows]
    kept = np.flatnonzero(~crowd)
    labels = records.labels[rows][kept]
    visible = _visible(boxes, own, records.boxes[rows][crowd], classes)
    height, width = records.sizes[image].tolist()
    scene = Scene(
        (height, width),
        records.boxes[rows][kept],
        classes.of_data[labels],
        classes.known[labels],
        boxes.boxes[own][visible],
        boxes.labels[own][visible],
        boxes.scores[own][visible],
    )
    return Subject(name, image, part.names[image], kept, labels, records.is_difficult[rows][kept]), scene


def _visible(boxes: DetectedBoxes, own: slice, crowds: Floats, classes: SharedClasses) -> Flags:
    """Return which detections are of classes of the data and outside of crowds and ignore regions."""
    used: Flags = classes.used[boxes.labels[own]]
    inside = share_inside(boxes.boxes[own], crowds).max(1, initial=0.0)
    visible: Flags = used & (inside < CROWD_SHARE)
    return visible


def _label_counts(parts: LabeledParts) -> dict[str, int]:
    counts = sum(box_counts(part) for _, part in parts)
    return dict(zip(parts.class_names, np.asarray(counts).tolist(), strict=True))


def _name(predictor: PredictorLike) -> str:
    return predictor.runtime.info.name if isinstance(predictor, Predictor) else str(predictor)
