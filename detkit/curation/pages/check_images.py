"""The images of a data check with their boxes: which ones the page shows, and their gallery."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detkit.arrays import Integers
from detkit.curation.parts import LabeledParts, Part
from detkit.data.checks.findings import Finding, Severity
from detkit.data.checks.report import CheckReport
from detkit.report.gallery import Card, DrawnBox, gallery, image_with_boxes
from detkit.report.images import Thumbnail, Wanted
from detkit.report.markup import Html, join, tag
from detkit.report.page import Section
from detkit.report.parts import paragraph
from detkit.report.plots import COLORS

GALLERY = "images-gallery"
IMAGE_SIDE = 240
"""Longer side of an image in pixels of the file."""
MOST_BOXES = 100
"""Boxes that are drawn in an image."""
PROBLEM_SHARE = 0.8
"""Largest share of the images that is taken for their problems."""
SIZES = (("small, below 32 x 32", 32.0**2), ("medium", 96.0**2), ("large, from 96 x 96", np.inf))
"""COCO's ranges of areas of boxes, in square pixels."""
_COLORS = tuple(color for color in range(COLORS) if color != 3)
"""Colors of the classes: all but the red one, which problems have."""
FILTERS, ORDERS = ("class", "box size", "problem"), ("boxes", "largest box", "-smallest box", "image size")


@dataclass(frozen=True, eq=False)
class ShownImage:
    """An image on the page.

    Attributes:
        part: Name of its part.
        index: Its index in the records of the part.
        findings: The findings that it is among.
    """

    part: str
    index: int
    findings: tuple[Finding, ...]

    @property
    def wanted(self) -> Wanted:
        """The thumbnail to make of it."""
        return Wanted((self.part, self.index), None, IMAGE_SIDE)


def problem_name(finding: Finding) -> str:
    """Return the name of a finding in the menu of problems."""
    return finding.rule.name.replace("_", " ")


def shown_images(parts: LabeledParts, report: CheckReport, limit: int) -> list[ShownImage]:
    """Return the images to show: the first of each problem, the second of each, and so on, then the others evenly spaced."""
    findings: dict[tuple[str, int], list[Finding]] = defaultdict(list)
    for severity in Severity:
        for finding in report.of(severity):
            for part, images in images_of(finding, parts):
                for index in dict.fromkeys(images.tolist()):
                    findings[part, index].append(finding)
    others = [(name, index) for name, part in parts for index in range(len(part)) if not findings.get((name, index))]
    room = min(len(others), round(limit * (1 - PROBLEM_SHARE)))
    chosen = list(dict.fromkeys(_in_turn(parts, report)))[: limit - room]
    count = min(limit - len(chosen), len(others))
    spaced: list[int] = np.linspace(0, len(others) - 1, count).round().astype(int).tolist()
    keys = [*chosen, *(others[position] for position in spaced)]
    return [ShownImage(part, index, tuple(findings.get((part, index), ()))) for part, index in keys]


def images_of(finding: Finding, parts: LabeledParts) -> Iterator[tuple[str, Integers]]:
    """Yield the images of a finding by part, those of both sides for pairs."""
    if finding.part in parts.parts:
        yield finding.part, finding.images
    if finding.other is not None and finding.other.part in parts.parts:
        yield finding.other.part, finding.other.images


def _in_turn(parts: LabeledParts, report: CheckReport) -> Iterator[tuple[str, int]]:
    """Yield the first image of every finding, the second ones, and so on; the second image of a pair follows the first."""
    queues = []
    for severity in Severity:
        for finding in report.of(severity):
            sides = [[(part, index) for index in images.tolist()] for part, images in images_of(finding, parts)]
            queues.append([image for pair in zip(*sides, strict=True) for image in pair] if sides else [])
    for turn in range(max(map(len, queues), default=0)):
        yield from (queue[turn] for queue in queues if turn < len(queue))


def images_section(parts: LabeledParts, report: CheckReport, images: Sequence[ShownImage], made: Sequence[Thumbnail | None]) -> Section:
    """Return the section of the images."""
    cards = [_card(parts.parts[image.part], image, thumbnail) for image, thumbnail in zip(images, made, strict=True)]
    divided = len(parts.parts) > 1
    shown = gallery(cards, GALLERY, filters=(*(("part",) if divided else ()), *FILTERS), orders=ORDERS)
    return Section("images", "Images", join([paragraph(_explanation(parts, images), note=True), shown]))


def _explanation(parts: LabeledParts, images: Sequence[ShownImage]) -> str:
    total, problems = parts.image_count, sum(bool(image.findings) for image in images)
    if len(images) == total:
        shown = f"All {total:,} images, those with problems first."
    else:
        shown = (
            f"{len(images):,} of {total:,} images: {problems:,} with problems, the first of each problem in turn, and "
            f"{len(images) - problems:,} others, evenly spaced; {total - len(images):,} are not shown."
        )
    colors = "A box has the color of its class; red boxes have a problem, dashed ones are crowds or ignore regions."
    return f"{shown} {colors} Click to enlarge."


def _card(part: Part, image: ShownImage, thumbnail: Thumbnail | None) -> Card:
    records, names = part.data.records, part.data.class_names
    rows = np.arange(records.offsets[image.index], records.offsets[image.index + 1])
    areas = (records.boxes[rows, 2:] - records.boxes[rows, :2]).prod(1)
    height, width = records.sizes[image.index].tolist()
    classes = [names[label] for label in np.unique(records.labels[rows]).tolist()]
    filters = {
        "part": image.part,
        "class": classes,
        "box size": [SIZES[index][0] for index in np.unique(np.searchsorted([limit for _, limit in SIZES], areas, side="right")).tolist()],
        "problem": [problem_name(finding) for finding in image.findings],
    }
    sorts = {"boxes": float(len(rows)), "image size": float(width * height)}
    sorts |= {"largest box": float(areas.max()), "smallest box": float(areas.min())} if len(rows) else {}
    drawn = None if thumbnail is None else image_with_boxes(thumbnail, _boxes(part, image, rows), part.names[image.index])
    lines = _lines(image, rows, classes, f"{width} x {height}")
    return Card(drawn, part.names[image.index], lines, filters, sorts, _href(records.paths[image.index]))


def _lines(image: ShownImage, rows: Integers, classes: Sequence[str], size: str) -> Html:
    boxes = f"{size}, {len(rows):,} {'box' if len(rows) == 1 else 'boxes'}"
    listed = ", ".join(classes[:4]) + (f" and {len(classes) - 4:,} more classes" if len(classes) > 4 else "")
    drawn = f" (the first {MOST_BOXES} are drawn)" if len(rows) > MOST_BOXES else ""
    problems = [tag("div", problem_name(finding), class_=f"problem severity-{finding.rule.severity.value}") for finding in image.findings]
    return join([boxes, drawn, f": {listed}" if listed else "", *problems])


def _boxes(part: Part, image: ShownImage, rows: Integers) -> list[DrawnBox]:
    """Return the boxes to draw, those with problems last, on top of the others."""
    records = part.data.records
    wrong = {row for finding in image.findings for row in _rows_of(finding, image)}
    kept = sorted(sorted(rows.tolist(), key=lambda row: row not in wrong)[:MOST_BOXES], key=lambda row: row in wrong)
    drawn = []
    for row in kept:
        label, crowd = int(records.labels[row]), bool(records.is_crowd[row])
        words = [part.data.class_names[label], *(("crowd",) if crowd else ()), *(("difficult",) if records.is_difficult[row] else ())]
        kind = "wrong" if row in wrong else f"c{_COLORS[label % len(_COLORS)]}"
        x1, y1, x2, y2 = records.boxes[row].tolist()
        drawn.append(DrawnBox((x1, y1, x2, y2), ", ".join(words), f"{kind} ignored" if crowd else kind))
    return drawn


def _rows_of(finding: Finding, image: ShownImage) -> list[int]:
    """Return the rows of the boxes of a finding in an image of its part."""
    if finding.boxes is None or finding.part != image.part:
        return []
    rows: list[int] = finding.boxes[finding.images == image.index].tolist()
    return rows


def _href(path: str) -> str:
    try:
        return Path(path).absolute().as_uri()
    except ValueError:  # a name that is no UTF-8
        return ""
