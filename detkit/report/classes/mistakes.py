"""The images that a classifier classifies wrongly, the most confident mistakes first."""

from __future__ import annotations

from collections.abc import Sequence

from detkit.evaluation.classified import ClassifiedImages, Mistake
from detkit.report.gallery import Card, gallery, image_with_boxes
from detkit.report.images import Thumbnail, Wanted
from detkit.report.markup import Html, join, tag
from detkit.report.page import Section
from detkit.report.parts import number, paragraph
from detkit.report.sources import ImageSource
from detkit.report.subject import short_name

SHOWN = 200
"""Mistakes that are shown as images."""
SIDE = 256
"""Longer side of an image in pixels of the file."""


def wanted_images(rows: Sequence[Mistake]) -> list[Wanted]:
    """Return the images of mistakes, to show them."""
    return [Wanted(row.image, None, SIDE) for row in rows]


def section(classified: ClassifiedImages, source: ImageSource, images: Sequence[Thumbnail | None]) -> Section:
    """Return the section of the first mistakes, one for each of ``images``, the thumbnails of :func:`wanted_images`."""
    rows = classified.mistakes
    if not rows:
        return Section("mistakes", "Mistakes", paragraph("Every image is classified correctly."))
    cards = [_card(classified, source, index, image) for index, image in enumerate(images)]
    more = "" if len(rows) == len(cards) else f" The {len(cards):,} most confident of {len(rows):,} are shown; the JSON has all."
    text = f"High scores first: look for wrong labels among them before you look for faults of the classifier.{more}"
    shown = gallery(cards, "mistake-gallery", filters=("true class", "classified as"), orders=("score", "-score"))
    return Section("mistakes", "Mistakes", join([paragraph(text, note=True), shown]))


def _card(classified: ClassifiedImages, source: ImageSource, index: int, image: Thumbnail | None) -> Card:
    row, names = classified.mistakes[index], classified.class_names
    true, predicted = names[row.true_class], names[row.predicted_class]
    text, path = f"{true}, classified as {predicted}", f"analysis/mistakes/{index}"
    lines: list[Html | str] = ["score ", number(row.score, key=f"{path}/score"), "; ", true, " "]
    lines.append(number(row.true_score, key=f"{path}/true_score"))
    if row.rank is not None:
        lines += [", rank ", number(row.rank, key=f"{path}/rank")]
    lines += [tag("br"), short_name(str(source.paths[row.image]))]
    shown = None if image is None else image_with_boxes(image, (), text)
    filters, sorts = {"true class": true, "classified as": predicted}, {"score": row.score}
    return Card(shown, text, join(lines), filters, sorts, source.href(row.image), {"data_case": str(row.image)})
