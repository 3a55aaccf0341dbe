"""The check of labels and image headers: all rules that need no pixel and no model."""

from __future__ import annotations

from collections.abc import Mapping

from detkit.data.checks.boxes import box_findings
from detkit.data.checks.classes import class_findings
from detkit.data.checks.images import image_findings
from detkit.data.checks.masks import mask_findings
from detkit.data.checks.reading import reader_findings
from detkit.data.checks.report import CheckReport
from detkit.data.checks.shared_images import shared_image_findings
from detkit.data.checks.statistics import part_statistics
from detkit.data.records import DetectionData


def check_labels(source: str, parts: Mapping[str, DetectionData], train: str = "train") -> CheckReport:
    """Check labels and image headers as they were read; no image is opened, except files of equal size in two parts.

    Args:
        source: Name of the data.
        parts: The parts by name, with the same classes.
        train: Name of the part to learn from; there may be none of this name.

    Returns:
        The findings and statistics of all parts.
    """
    findings = [*reader_findings(parts), *shared_image_findings(parts, train), *class_findings(parts, train)]
    for part, data in parts.items():
        if not data.is_classification:
            findings += [*image_findings(part, data), *box_findings(part, data), *mask_findings(part, data)]
    return CheckReport(source, tuple(findings), {part: part_statistics(data) for part, data in parts.items()})
