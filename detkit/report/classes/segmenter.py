"""The report of a model for semantic segmentation: mIoU with intervals, each class, confusions of pixels, and the worst images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from detkit.arrays import ImageArray
from detkit.drawing.palette import color_of
from detkit.evaluation.analysis.intervals import Interval
from detkit.evaluation.segmentation import BACKGROUND, SegmentationNumbers
from detkit.report.bars import Bar, Cell, bars, heat_map
from detkit.report.evaluation import WrittenReport
from detkit.report.gallery import Card, gallery, image_with_boxes
from detkit.report.images import Thumbnail, encode
from detkit.report.markup import Html, join, tag
from detkit.report.page import Page, Section
from detkit.report.parts import Column, figure, number, paragraph, table, tiles, with_interval
from detkit.report.sections import about
from detkit.report.sections.classes import BARS
from detkit.report.sections.confusion import SHOWN_CLASSES, most_confused
from detkit.report.sources import ImageSource
from detkit.report.subject import short_name
from detkit.structures.label_maps import IGNORED

SHOWN = 24
"""Worst images that are shown."""
SIDE = 640
"""Longer side of an image and its prediction next to each other, in pixels of the file."""
_GAP = 8
_TITLES = {"miou": "mIoU", "pixel_accuracy": "pixel accuracy", "mean_accuracy": "mean accuracy"}
_MEANINGS = {
    "miou": "mean of the classes' IoU",
    "pixel_accuracy": "of all pixels have the right class",
    "mean_accuracy": "mean of the classes' accuracies",
}
_COLUMNS = (
    Column("class"),
    Column("pixels", True, "number of labeled pixels"),
    Column("IoU", True, "intersection over union of its pixels in all images"),
    Column("accuracy", True, "fraction of its labeled pixels that are predicted as such"),
)

LabelMaps = Callable[[int], tuple[ImageArray, ImageArray, ImageArray]]
"""Returns the image of an index, ``(H, W, 3)`` RGB, its labels and its prediction, ``(H, W)`` each."""


@dataclass(frozen=True, eq=False)
class SegmenterSubject:
    """An evaluation of a model for semantic segmentation to report.

    Attributes:
        title: What was evaluated, such as ``runs/unet-1 on streets``.
        numbers: The metrics.
        intervals: 95 % intervals of the metrics, by name.
        images: The images, by their index.
        label_maps: Computes the label maps of the images that are shown.
        facts: Names and values about model, data and versions, for the last section.
        command: The command that repeats the evaluation; empty if it is unknown.
    """

    title: str
    numbers: SegmentationNumbers
    intervals: Mapping[str, Interval]
    images: ImageSource
    label_maps: LabelMaps
    facts: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""


def worst_images(numbers: SegmentationNumbers) -> list[int]:
    """Return the indices of the images with the lowest mean IoU, at most :data:`SHOWN`, worst first.

    Those of which all pixels are ignored are left out.
    """
    values = numbers.image_iou
    return [index for index in np.argsort(values, kind="stable").tolist() if not math.isnan(values[index])][:SHOWN]


def segmenter_report(subject: SegmenterSubject, path: str | Path) -> WrittenReport:
    """Write the report of an evaluation of semantic segmentation.

    Raises:
        OSError, ValueError: If an image can no longer be read.
        WriteError: If the disk is full, or the file cannot be written there.
    """
    # One after the other, as a model runs for each of them.
    images = {index: encode(_drawn(subject, index), SIDE) for index in worst_images(subject.numbers)}
    sections = [
        _numbers(subject),
        _classes(subject.numbers),
        _confusion(subject.numbers),
        _worst(subject, images),
        about.about_section(subject.facts, subject.command, None),
    ]
    page = Page(subject.title, sections, _lead(subject), {}, (), ("evaluation.css",))
    return WrittenReport(Path(path), page.write(path), len(images))


def _bounds(subject: SegmenterSubject, name: str) -> tuple[Html, Html]:
    interval = subject.intervals[name]
    return number(interval.low, key=f"intervals/{name}/0"), number(interval.high, key=f"intervals/{name}/1")


def _lead(subject: SegmenterSubject) -> Html:
    values, (low, high) = subject.numbers.values, _bounds(subject, "miou")
    total = tag("strong", "mIoU ", number(values["miou"], key="miou"))
    images = join([number(subject.numbers.images, key="images"), " images"])
    accuracy = number(values["pixel_accuracy"], key="pixel_accuracy", style="percent")
    first = join([total, " (95 % interval ", low, " to ", high, ") on ", images, "; ", accuracy, " of their pixels are right. "])
    known = [(value, index) for index, value in enumerate(subject.numbers.iou.tolist()) if not math.isnan(value)]
    if len(known) < 2:
        return first
    value, index = min(known)
    return join([first, "Lowest IoU: ", subject.numbers.class_names[index], " (", number(value, key=f"classes/{index}/iou"), ")."])


def _numbers(subject: SegmenterSubject) -> Section:
    numbers = subject.numbers
    items = [
        (_TITLES[name], with_interval(number(value, key=name), *_bounds(subject, name)), _MEANINGS[name])
        for name, value in numbers.values.items()
    ]
    items.append(("images", number(numbers.images, key="images"), ""))
    items.append(("pixels", number(int(numbers.pixels.sum()), key="pixels"), "of which the class is known"))
    if numbers.ignored:
        items.append(("ignored", number(numbers.ignored, key="ignored_pixels"), "pixels of unknown class"))
    note = paragraph(
        "In small print: 95 % intervals from a bootstrap over the images. They cover the choice of the images, not the variation between "
        "trainings.",
        note=True,
    )
    return Section("numbers", "Numbers", join([tiles(items), note]))


def _classes(numbers: SegmentationNumbers) -> Section:
    columns = zip(numbers.class_names, numbers.pixels.tolist(), numbers.iou.tolist(), numbers.accuracy.tolist(), strict=True)
    rows = [
        [name, *(number(value, key=f"classes/{index}/{key}") for key, value in zip(("pixels", "iou", "accuracy"), values, strict=True))]
        for index, (name, *values) in enumerate(columns)
    ]
    known = sorted(((value, index) for index, value in enumerate(numbers.iou.tolist()) if not math.isnan(value)), reverse=True)
    drawn = [Bar(numbers.class_names[index], value, number(value, key=f"classes/{index}/iou")) for value, index in known]
    shown = figure(bars(drawn, high=1.0), "IoU of each class.", wide=True) if 1 < len(drawn) <= BARS else None
    return Section("classes", "Classes", join([shown, table(_COLUMNS, rows, identifier="class-table")]))


def _confusion(numbers: SegmentationNumbers) -> Section:
    totals, pairs = numbers.pixels, np.argwhere(numbers.confusion).tolist()
    shown = most_confused(range(len(totals)), {(true, predicted): int(numbers.confusion[true, predicted]) for true, predicted in pairs})
    names = [numbers.class_names[label] for label in shown]
    cells = [[_cell(numbers, int(totals[true]), true, predicted) for predicted in shown] for true in shown]
    several = f" The {SHOWN_CLASSES} classes that are confused most are shown." if len(totals) > SHOWN_CLASSES else ""
    note = paragraph(f"Rows are the true classes, columns the predicted ones: pixels in percent of the row.{several}", note=True)
    return Section("confusion", "Confusion", join([note, heat_map(names, names, cells, "true \\ predicted")]))


def _cell(numbers: SegmentationNumbers, total: int, true: int, predicted: int) -> Cell | None:
    count = int(numbers.confusion[true, predicted])
    if not count:
        return None
    share = count / total
    title = f"{numbers.class_names[true]}, predicted as {numbers.class_names[predicted]}: {count:,} pixels"
    text = tag("span", f"{100 * share:.1f}", class_="n")
    return Cell(math.sqrt(share) if true == predicted else -math.sqrt(share), text, title)


def _worst(subject: SegmenterSubject, images: Mapping[int, Thumbnail]) -> Section:
    if not images:
        return Section("images", "Worst images", paragraph("There are no images with labeled pixels."))
    cards = [_card(subject, index, position, image) for position, (index, image) in enumerate(images.items())]
    text = "The images with the lowest mean IoU: labels on the left, the prediction on the right. Pixels whose class is unknown are white."
    body = [paragraph(text, note=True), _legend(subject.numbers), gallery(cards, "worst", orders=("IoU", "-IoU"))]
    return Section("images", "Worst images", join(body))


def _card(subject: SegmenterSubject, index: int, position: int, image: Thumbnail) -> Card:
    name, value = short_name(str(subject.images.paths[index])), float(subject.numbers.image_iou[index])
    shown = image_with_boxes(image, (), name)
    line = join(["mean IoU ", number(value, key=f"worst_images/{position}/iou")])
    return Card(shown, name, line, {}, {"IoU": value}, subject.images.href(index))


def _legend(numbers: SegmentationNumbers) -> Html:
    classes = (name for name in numbers.class_names if name != BACKGROUND)
    entries = (
        tag("span", tag("i", style=f"background:rgb{color_of(label)};border:0;border-radius:2px;height:.8em;width:.8em"), name)
        for label, name in enumerate(classes)
    )
    return tag("div", *entries, class_="legend")


def _drawn(subject: SegmenterSubject, index: int) -> ImageArray:
    """Return an image with its labels next to the image with its prediction."""
    image, truth, predicted = subject.label_maps(index)
    has_background = subject.numbers.class_names[-1:] == (BACKGROUND,)
    background = len(subject.numbers.class_names) - 1 if has_background else None
    gap = np.full((len(image), _GAP, 3), 255, np.uint8)
    return np.concatenate([blended(image, truth, background), gap, blended(image, predicted, background)], 1)


def blended(image: ImageArray, labels: ImageArray, background: int | None) -> ImageArray:
    """Return an image ``(H, W, 3)`` under the colors of its label map ``(H, W)``; background stays as it is, ignored pixels are white."""
    colors = np.zeros((256, 3), np.float32)
    colors[: len(colors) - 1] = [color_of(label) for label in range(len(colors) - 1)]
    colors[IGNORED] = 255
    mixed = (0.45 * image + 0.55 * colors[labels]).astype(np.uint8)
    return mixed if background is None else np.where((labels == background)[..., None], image, mixed)
