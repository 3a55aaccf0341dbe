"""The report of an evaluation: one HTML file with every number, its curves, its mistakes as crops, and how to repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkit.data.media.images import read_image
from detkit.report.images import MAX_BYTES, Thumbnail, Thumbnails, Wanted, thumbnails
from detkit.report.page import Page, Section
from detkit.report.sections import about, calibration, cases, classes, confusion, curves, errors, overview, training, worst
from detkit.report.sections.selection import CROPS, select_cases
from detkit.report.subject import Subject
from detkit.report.training import TrainingFacts

_SCRIPTS, _STYLES = ("evaluation.js",), ("evaluation.css",)

Images = Sequence[Thumbnail | None]


@dataclass(frozen=True)
class WrittenReport:
    """A report that was written.

    Attributes:
        path: Its file.
        size: Its size in bytes.
        images: Number of images in it.
        failed: Why images could not be read, one sentence each.
    """

    path: Path
    size: int
    images: int
    failed: tuple[str, ...] = ()


def evaluation_report(subject: Subject, path: str | Path, *, crops: int = CROPS, max_bytes: int = MAX_BYTES) -> WrittenReport:
    """Write the report of an evaluation, or of the evaluation at the end of a training.

    Args:
        subject: The evaluation.
        path: The file to write.
        crops: Number of cases that are shown as crops.
        max_bytes: Limit of the images in the file, in bytes; what is beyond it is listed without an image.

    Raises:
        WriteError: If the disk is full, or the file cannot be written there.
    """
    batches = _batches(subject.training)
    chosen = select_cases(subject.analysis.cases, crops)
    made = _made(subject, chosen, max_bytes - batches.size)
    page = _page(subject, chosen, made, batches.images)
    size = page.write(path)
    shown = sum(image is not None for image in (*batches.images, *made.images))
    return WrittenReport(Path(path), size, shown, tuple((made.failed | batches.failed).values()))


def training_report(facts: TrainingFacts, title: str, path: str | Path, command: str = "") -> WrittenReport:
    """Write the report of a training whose validation kept no detections, such as that of a classifier.

    Raises:
        WriteError: If the disk is full, or the file cannot be written there.
    """
    batches = _batches(facts)
    sections, data = _training_sections(facts, batches.images)
    page = Page(title, [*sections, about.about_section({}, command, facts)], data=data)
    return WrittenReport(Path(path), page.write(path), sum(image is not None for image in batches.images), tuple(batches.failed.values()))


def _batches(facts: TrainingFacts | None) -> Thumbnails:
    wanted = [] if facts is None else [Wanted(batch, None, training.BATCH_SIDE) for batch in facts.batches]
    return thumbnails(wanted, lambda path: read_image(str(path)), MAX_BYTES // 4)


def _made(subject: Subject, chosen: Sequence[int], max_bytes: int) -> Thumbnails:
    """Return the thumbnails of the worst images, then those of the chosen cases."""
    reader, wanted = subject.images.reader, [*worst.wanted_images(subject), *cases.wanted_crops(subject, chosen)]
    if reader is None:
        return Thumbnails((None,) * len(wanted), {}, 0, 0)
    return thumbnails(wanted, reader, max_bytes)


def _page(subject: Subject, chosen: Sequence[int], made: Thumbnails, batches: Images) -> Page:
    count = len(made.images) - len(chosen)
    matrix, cells = confusion.section(subject, chosen)
    by_score, curve_data = curves.section(subject)
    calibrated, calibration_data = calibration.section(subject)
    sections = [
        overview.section(subject),
        classes.section(subject),
        by_score,
        matrix,
        errors.section(subject),
        calibrated,
        worst.section(subject, made.images[:count]),
        cases.section(subject, chosen, made.images[count:]),
    ]
    data: dict[str, Any] = {**cells, **curve_data, **calibration_data}
    if subject.training is not None:
        trained, training_data = _training_sections(subject.training, batches)
        sections += trained
        data |= training_data
    sections.append(about.about_section(subject.facts, subject.command, subject.training))
    return Page(subject.title, sections, overview.lead(subject), data, _SCRIPTS, _STYLES)


def _training_sections(facts: TrainingFacts, batches: Images) -> tuple[list[Section], dict[str, Any]]:
    section, data = training.section(facts, batches)
    return [section, *([about.config_section(facts)] if facts.config else [])], data
