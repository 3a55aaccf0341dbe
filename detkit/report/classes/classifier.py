"""The report of a classifier's evaluation: accuracies with intervals, each class, confusions, calibration, and the mistakes as images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detkit.evaluation.classified import ClassifiedImages, ClassRow
from detkit.report.bars import Bar, bars
from detkit.report.classes import matrix, mistakes
from detkit.report.evaluation import WrittenReport
from detkit.report.images import MAX_BYTES, thumbnails
from detkit.report.markup import Html, join, tag
from detkit.report.page import Page, Section
from detkit.report.parts import Column, figure, number, paragraph, table, tiles, with_interval
from detkit.report.sections import about
from detkit.report.sections.calibration import counts_figure, diagram_figure
from detkit.report.sections.classes import BARS
from detkit.report.sources import ImageSource

_MEANINGS = {
    "top1": "of the images have the true class as the most likely",
    "top5": "have it among the five most likely",
    "balanced": "mean of the classes' top-1",
}
_COLUMNS = (
    Column("class"),
    Column("images", True),
    Column("top-1", True, "fraction of its images that are classified correctly, with its 95 % interval"),
    Column("classified as", True, "number of images that are classified as this class"),
    Column("precision", True, "fraction of those that are of this class"),
    Column("F1", True),
)


@dataclass(frozen=True, eq=False)
class ClassifierSubject:
    """An evaluation of a classifier to report.

    Attributes:
        title: What was evaluated, such as ``runs/cats-1 on pets``.
        classified: The predictions and their numbers.
        images: The images, by their index.
        facts: Names and values about model, data and versions, for the last section.
        command: The command that repeats the evaluation; empty if it is unknown.
    """

    title: str
    classified: ClassifiedImages
    images: ImageSource
    facts: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""


def classifier_report(
    subject: ClassifierSubject, path: str | Path, *, shown: int = mistakes.SHOWN, max_bytes: int = MAX_BYTES
) -> WrittenReport:
    """Write the report of a classifier's evaluation.

    Args:
        subject: The evaluation.
        path: The file to write.
        shown: Number of mistakes that are shown as images.
        max_bytes: Limit of the images in the file, in bytes; what is beyond it is listed without an image.

    Raises:
        WriteError: If the disk is full, or the file cannot be written there.
    """
    classified, reader = subject.classified, subject.images.reader
    rows = classified.mistakes[:shown]
    made = None if reader is None else thumbnails(mistakes.wanted_images(rows), reader, max_bytes)
    images = [None] * len(rows) if made is None else list(made.images)
    confusion, cells = matrix.section(classified, subject.images, {row.image for row in rows})
    sections = [
        _numbers(classified),
        _classes(classified),
        confusion,
        _calibration(classified),
        mistakes.section(classified, subject.images, images),
        about.about_section(subject.facts, subject.command, None),
    ]
    page = Page(subject.title, sections, _lead(classified), cells, ("evaluation.js",), ("evaluation.css",))
    failed = () if made is None else tuple(made.failed.values())
    return WrittenReport(Path(path), page.write(path), sum(image is not None for image in images), failed)


def _lead(classified: ClassifiedImages) -> Html:
    present = sum(row.images > 0 for row in classified.classes)
    images = number(len(classified.labels), key="images")
    accuracy = tag("strong", "top-1 ", number(classified.accuracy.top1, key="top1"))
    low, high = _bounds(classified, "top1")
    return join(
        [accuracy, " (95 % interval ", low, " to ", high, ") on ", images, f" images of {present:,} classes. ", *_worst(classified)]
    )


def _worst(classified: ClassifiedImages) -> Iterator[Html]:
    """Yield the most frequent confusion and the most confident mistake in a sentence each."""
    wrong = [(len(images), index) for index, (true, predicted, images) in enumerate(classified.confusions) if true != predicted]
    if not wrong:
        yield Html("Every image is classified correctly.")
        return
    count, index = max(wrong)
    true, predicted, _ = classified.confusions[index]
    names = classified.class_names
    yield join(["Most frequent confusion: ", names[true], " as ", names[predicted], " ("])
    yield join([number(count, key=f"analysis/confusions/{index}/count"), "). "])
    first = classified.mistakes[0]
    score = number(first.score, key="analysis/mistakes/0/score")
    yield join(["Most confident mistake: ", names[first.true_class], " as ", names[first.predicted_class], " with ", score, "."])


def _bounds(classified: ClassifiedImages, name: str) -> tuple[Html, Html]:
    interval, path = classified.intervals[name], f"analysis/intervals/{name}"
    return number(interval.low, key=f"{path}/low"), number(interval.high, key=f"{path}/high")


def _numbers(classified: ClassifiedImages) -> Section:
    items = [
        (name.replace("top", "top-"), with_interval(number(value, key=name), *_bounds(classified, name)), _MEANINGS[name])
        for name, value in classified.accuracy.values.items()
    ]
    wrong = number(len(classified.mistakes), key="analysis/mistake_count")
    ece = number(classified.calibration.ece, key="analysis/calibration/ece")
    counts = [
        ("images", number(len(classified.labels), key="images"), ""),
        ("mistakes", wrong, "images whose most likely class is wrong"),
        ("ECE", ece, "expected calibration error"),
    ]
    note = paragraph(
        "In small print: 95 % intervals, Wilson's of top-1 and top-5, and a bootstrap over the images of the mean over classes. They cover "
        "the choice of the images, not the variation between trainings.",
        note=True,
    )
    return Section("numbers", "Numbers", join([tiles([*items, *counts]), note]))


def _classes(classified: ClassifiedImages) -> Section:
    rows = [_row(row, index) for index, row in enumerate(classified.classes)]
    known = sorted((row.top1, index) for index, row in enumerate(classified.classes) if row.images)[::-1]
    drawn = [_bar(classified.classes[index], index) for _, index in known]
    shown = figure(bars(drawn, high=1.0), "Top-1 of each class with its 95 % interval.", wide=True) if 1 < len(drawn) <= BARS else None
    note = paragraph("A dash: the data has no image of the class, or none is classified as it.", note=True)
    return Section("classes", "Classes", join([shown, note, table(_COLUMNS, rows, identifier="class-table")]))


def _row(row: ClassRow, index: int) -> list[Html | str]:
    path = f"analysis/classes/{index}"
    low, high = (number(getattr(row.interval, end), key=f"{path}/interval/{end}") for end in ("low", "high"))
    shown = {name: number(getattr(row, name), key=f"{path}/{name}") for name in ("images", "top1", "predicted", "precision", "f1")}
    return [row.name, shown["images"], with_interval(shown["top1"], low, high), shown["predicted"], shown["precision"], shown["f1"]]


def _bar(row: ClassRow, index: int) -> Bar:
    path = f"analysis/classes/{index}"
    note = join([number(row.images, key=f"{path}/images"), " images"])
    return Bar(row.name, row.top1, number(row.top1, key=f"{path}/top1"), (row.interval.low, row.interval.high), note)


def _calibration(classified: ClassifiedImages) -> Section:
    judgment = paragraph(
        "Expected calibration error: ",
        number(classified.calibration.ece, key="analysis/calibration/ece"),
        ", the mean distance between the probability of the most likely class and the fraction of images for which it is right. Below the "
        "diagonal the classifier is overconfident; above it, underconfident.",
    )
    drawn = diagram_figure(classified.calibration, "accuracy", "Accuracy of the images in each tenth of the probabilities.")
    counts = counts_figure(
        classified.calibration, "analysis/calibration", "Images in each tenth of the probabilities.", "Images by probability"
    )
    return Section("calibration", "Calibration", join([judgment, tag("div", drawn, counts, class_="grid")]))
