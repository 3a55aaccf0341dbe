"""The page of a data check: problems, statistics, and images with their boxes."""

from __future__ import annotations

from pathlib import Path

from detkit.curation.pages.check_images import images_section, shown_images
from detkit.curation.pages.check_problems import problems_section
from detkit.curation.pages.check_statistics import statistics_section
from detkit.curation.parts import LabeledParts
from detkit.data.checks.findings import Severity
from detkit.data.checks.report import CheckReport
from detkit.data.record_image import read_record
from detkit.report.images import MAX_BYTES, thumbnails
from detkit.report.markup import Html, join
from detkit.report.page import Page

SHOWN = 500
"""Largest number of images on the page."""
_STYLES = ("check.css",)


def write_check_page(parts: LabeledParts, report: CheckReport, path: str | Path, *, shown: int = SHOWN, max_bytes: int = MAX_BYTES) -> int:
    """Write the page, one HTML file that opens offline, and return its size in bytes.

    Args:
        parts: The data.
        report: The findings and the statistics of the parts.
        path: The file.
        shown: Largest number of images on the page: those with problems first, the others evenly spaced.
        max_bytes: Limit of the images in the file; images beyond it are listed without a thumbnail.

    Raises:
        WriteError: If the file cannot be written.
    """
    images = shown_images(parts, report, shown)
    wanted = [image.wanted for image in images]
    made = thumbnails(wanted, lambda key: read_record(parts.parts[key[0]].data.records[key[1]]), max_bytes)
    sections = [problems_section(report, images), statistics_section(parts, report), images_section(parts, report, images, made.images)]
    return Page(f"Check of {Path(report.source).name or report.source}", sections, _lead(parts, report), styles=_STYLES).write(path)


def _lead(parts: LabeledParts, report: CheckReport) -> Html:
    counts = [f"{count:,} {name}{'s' * (count != 1)}" for name, count in report.counts.items() if count]
    judgment = "Correct the errors before a training. " if report.of(Severity.ERROR) else ""
    listed = ", ".join(counts) or "No problems"
    return join([judgment, f"{listed} in {parts.image_count:,} images with {parts.box_count:,} boxes of {report.source}."])
