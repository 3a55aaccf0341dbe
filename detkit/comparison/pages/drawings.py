"""Images of the report: the same ones drawn by every detector, and those that got worse and better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detkit.comparison.plan import Entry, Unit
from detkit.comparison.results import ground_truth
from detkit.comparison.session import Session
from detkit.data.media.images import read_image
from detkit.evaluation.analysis.matches import Matches
from detkit.evaluation.details import operating_points
from detkit.evaluation.ground_truth import GroundTruth
from detkit.report.gallery import Card, DrawnBox, gallery, image_with_boxes
from detkit.report.images import Thumbnail, Wanted, thumbnails
from detkit.report.markup import Html, join, tag
from detkit.report.parts import paragraph, tabs

SHOWN_IMAGES, SIDE = 6, 420
"""Images that every detector draws, and their longer side in pixels."""
MOST_CHANGED = 6
"""Images shown that got worse, and as many that got better."""
DEFAULT_SCORE = 0.5


@dataclass(frozen=True, eq=False)
class Drawn:
    """A detector as it draws: the detections of its first run from its best score on.

    Attributes:
        entry: The detector.
        matches: Its detections on the test images with at least ``score``.
        score: The score with the best F1 on the validation images, or 0.5 without them.
    """

    entry: Entry
    matches: Matches
    score: float

    @property
    def name(self) -> str:
        """Its name with its year."""
        year = "" if self.entry.year is None else f" ({int(self.entry.year)})"
        return f"{self.entry.title or self.entry.name}{year}"


def drawn_detectors(session: Session, test: GroundTruth) -> list[Drawn]:
    """Return the first evaluated run of each detector, in the order of invention; those without a year come last."""
    truth = ground_truth(session, "val")
    found = []
    for entry in sorted(session.plan.entries, key=lambda entry: entry.year if entry.year is not None else 9999.0):
        unit = next((u for u in session.units() if u.entry.name == entry.name and u.fraction == 1 and session.folder.is_evaluated(u)), None)
        if unit is not None:
            score = best_score(session, unit, truth)
            table = session.folder.table(unit, "test")
            found.append(Drawn(entry, Matches.of(test, table[table[:, 5] >= score]), score))
    return found


def best_score(session: Session, unit: Unit, truth: GroundTruth) -> float:
    """Return the score with the best F1 on the validation images; 0.5 if a unit has no detections on them or none is correct."""
    if not session.folder.detections(unit, "val").is_file():
        return DEFAULT_SCORE
    point = operating_points(truth, session.folder.table(unit, "val"))[0]
    return DEFAULT_SCORE if not point.f1 > 0 else point.score


def same_images(truth: GroundTruth, drawn: Sequence[Drawn]) -> Html:
    """Return the same test images, evenly spaced, drawn by every detector in the order of invention."""
    numbers = list(truth.image_ids)
    chosen = [numbers[index * len(numbers) // min(SHOWN_IMAGES, len(numbers))] for index in range(min(SHOWN_IMAGES, len(numbers)))]
    images = _thumbnails(truth, chosen)
    panels = [(f"image {index + 1}", _panel(truth, drawn, number, image)) for index, (number, image) in enumerate(images.items())]
    note = paragraph(
        "Every detector draws the detections of its first seed from the score on that is best on the validation images (F1 at IoU .5). ",
        "Blue: correct at IoU .5; red: wrong; dashed green: the labels. Click an image to enlarge it.",
        note=True,
    )
    return join([note, tabs(panels)])


def _thumbnails(truth: GroundTruth, numbers: Sequence[int]) -> dict[int, Thumbnail | None]:
    made = thumbnails([Wanted(truth.files[number], max_side=SIDE) for number in numbers], read_image)
    return dict(zip(numbers, made.images, strict=True))


def _panel(truth: GroundTruth, drawn: Sequence[Drawn], number: int, image: Thumbnail | None) -> Html:
    boxes = [
        DrawnBox(_corners(row["bbox"]), truth.categories[row["category_id"]], "truth")
        for row in truth.annotations
        if row["image_id"] == number and "region" not in row
    ]
    cards = [Card(_image(image, boxes, "the labels"), "Labels", f"{len(boxes):,} objects")]
    for detector in drawn:
        detections = _boxes_of(truth, detector, number)
        right = sum(box.kind == "right" for box in detections)
        text = f"{right:,} correct, {len(detections) - right:,} wrong from score {detector.score:.2f} on"
        cards.append(Card(_image(image, detections, f"detections of {detector.name}"), detector.name, text))
    return gallery(cards, f"image-{number}", shown=len(cards))


def _image(image: Thumbnail | None, boxes: Sequence[DrawnBox], alt: str) -> Html | None:
    return None if image is None else image_with_boxes(image, boxes, alt)


def _boxes_of(truth: GroundTruth, detector: Drawn, number: int) -> list[DrawnBox]:
    matches, names = detector.matches, truth.categories
    boxes = []
    for index in np.flatnonzero(matches.image == number).tolist():
        x1, y1, x2, y2 = matches.boxes[index].tolist()
        kind = "right" if matches.target[index] >= 0 else "wrong"
        boxes.append(DrawnBox((x1, y1, x2, y2), f"{names[int(matches.category[index])]} {matches.scores[index]:.2f}", kind))
    return boxes


def _corners(box: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, width, height = box
    return x, y, x + width, y + height


def changed_images(truth: GroundTruth, drawn: Sequence[Drawn], one: str, other: str) -> Html:
    """Return the test images on which a detector is better and worse than another, by the F1 of each image."""
    pair = {detector.entry.name: detector for detector in drawn}
    first, second = pair[one], pair[other]
    scores = [image_f1(truth, detector) for detector in (first, second)]
    change = {number: scores[0][number] - scores[1][number] for number in truth.image_ids}
    ranked = sorted(change, key=lambda number: change[number])
    worse = [number for number in ranked[:MOST_CHANGED] if change[number] < 0]
    better = [number for number in ranked[::-1][:MOST_CHANGED] if change[number] > 0]
    parts: list[Any] = [paragraph(f"F1 of each test image, {first.name} against {second.name}, each from its best score on.", note=True)]
    for title, numbers in (("better", better), ("worse", worse)):
        cards = []
        for number, image in _thumbnails(truth, numbers).items():
            for detector, values in zip((first, second), scores, strict=True):
                boxes = _boxes_of(truth, detector, number)
                text = f"{truth.image_name(number).rpartition('/')[2]}: F1 {values[number]:.2f}, change {change[number]:+.2f}"
                cards.append(Card(_image(image, boxes, f"detections of {detector.name}"), detector.name, text))
        heading = tag("h3", f"Images that got {title}")
        parts.append(join([heading, gallery(cards, f"images-{title}", shown=len(cards)) if cards else paragraph("There are none.")]))
    return join(parts)


def image_f1(truth: GroundTruth, detector: Drawn) -> Mapping[int, float]:
    """Return the F1 of each image at IoU .5; 1 for an image without objects and detections."""
    matches = detector.matches
    objects = dict.fromkeys(truth.image_ids, 0)
    for row in truth.annotations:
        objects[row["image_id"]] += not row["iscrowd"]
    found = {number: [0, 0] for number in truth.image_ids}
    for number, target in zip(matches.image.tolist(), matches.target.tolist(), strict=True):
        found[number][0] += target >= 0
        found[number][1] += 1
    return {
        number: 1.0 if not (detected + objects[number]) else 2 * right / (detected + objects[number])
        for number, (right, detected) in found.items()
    }
