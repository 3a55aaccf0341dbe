"""The images with the most mistakes: the worst as thumbnails with all their boxes, and a table of more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from detkit.evaluation.analysis.cases import ImageMistakes
from detkit.report.gallery import Card, DrawnBox, gallery, image_with_boxes
from detkit.report.images import Thumbnail, Wanted
from detkit.report.markup import Html, join, tag
from detkit.report.page import Section
from detkit.report.parts import Column, details, number, paragraph, table
from detkit.report.sections.cases import drawn_boxes
from detkit.report.subject import Subject, short_name

SHOWN_IMAGES, LISTED_IMAGES = 40, 1000
"""Worst images that are shown, and that are listed."""
SIDE = 480
"""Longer side of an image in pixels of the file."""
_COLUMNS = ("image", Column("objects", True), Column("correct", True), Column("wrong", True), Column("missed", True))


def wanted_images(subject: Subject) -> list[Wanted]:
    """Return the worst images, to show them."""
    return [Wanted(row.image_id, None, SIDE) for row in subject.analysis.images[:SHOWN_IMAGES]]


def section(subject: Subject, images: Sequence[Thumbnail | None]) -> Section:
    """Return the section of the worst images; ``images`` are the thumbnails of :func:`wanted_images`."""
    rows = subject.analysis.images
    drawn = _boxes(subject, {row.image_id for row in rows[: len(images)]})
    cards = [_card(subject, index, row, image, drawn[row.image_id]) for index, (row, image) in enumerate(zip(rows, images, strict=False))]
    listed = [_row(subject, index, row) for index, row in enumerate(rows[:LISTED_IMAGES])]
    left_out = f", of which {LISTED_IMAGES:,} are listed; the JSON has all" if len(rows) > LISTED_IMAGES else ""
    text = f"{len(rows):,} of {len(subject.truth.image_ids):,} images have a mistake at the score of the operating point{left_out}."
    lists = details("All images with mistakes", table(_COLUMNS, listed, identifier="image-table")) if rows else None
    orders = ("wrong", "missed", "objects")
    body = join([paragraph(text, note=True), gallery(cards, "worst", orders=orders, shown=8) if cards else None, lists])
    return Section("images", "Worst images", body)


def _boxes(subject: Subject, shown: set[int]) -> dict[int, list[DrawnBox]]:
    """Return the boxes of the cases of some images."""
    boxes: dict[int, list[DrawnBox]] = defaultdict(list)
    for case in subject.analysis.cases:
        if case.image_id in shown:
            drawn = drawn_boxes(subject, case)
            boxes[case.image_id] += drawn[-1:] if case.kind == "correct" else drawn  # right detections without the truth next to them
    return boxes


def _card(subject: Subject, index: int, row: ImageMistakes, image: Thumbnail | None, boxes: list[DrawnBox]) -> Card:
    shown = None if image is None else image_with_boxes(image, boxes, row.name)
    sorts = {"wrong": float(row.wrong), "missed": float(row.missed), "objects": float(row.objects)}
    return Card(shown, short_name(row.name), join(_texts(row, index)), {}, sorts, subject.images.href(row.image_id))


def _texts(row: ImageMistakes, index: int) -> list[Html | str]:
    path = f"analysis/images/{index}"
    return [
        number(row.correct, key=f"{path}/correct"),
        " of ",
        number(row.objects, key=f"{path}/objects"),
        " detected, ",
        number(row.wrong, key=f"{path}/wrong"),
        " wrong",
    ]


def _row(subject: Subject, index: int, row: ImageMistakes) -> list[Html]:
    href = subject.images.href(row.image_id)
    name = tag("a", short_name(row.name), href=href) if href else tag("span", short_name(row.name))
    names = ("objects", "correct", "wrong", "missed")
    return [name, *(number(getattr(row, field), key=f"analysis/images/{index}/{field}") for field in names)]
