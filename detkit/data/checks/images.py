"""Checks of whole images: without objects, and with very many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detkit.data.checks import rules
from detkit.data.checks.findings import Finding
from detkit.data.records import DetectionData

CROWDED = 100
"""Number of objects above which an image can be crowded."""
CROWDED_RATIO = 10
"""How many times the median of the images with objects a crowded image has."""
MOSTLY = 0.5
"""Fraction of images without objects above which most are empty."""


def image_findings(part: str, data: DetectionData) -> Iterator[Finding]:
    """Find images without objects, and images with many times as many objects as is usual."""
    lengths = data.records.lengths
    empty = np.flatnonzero(lengths == 0)
    if len(empty) and len(empty) < len(data):
        rule = rules.MOSTLY_EMPTY if len(empty) > MOSTLY * len(data) else rules.EMPTY_IMAGE
        yield Finding.of_images(rule, part, data, empty)
    median = float(np.median(lengths[lengths > 0])) if (lengths > 0).any() else 0.0
    crowded = np.flatnonzero(lengths > max(CROWDED, CROWDED_RATIO * median))
    if len(crowded):
        crowded = crowded[np.argsort(-lengths[crowded], kind="stable")]
        details = [f"{lengths[image]:,} objects; half of the images with objects have at most {median:g}" for image in crowded.tolist()]
        yield Finding.of_images(rules.CROWDED_IMAGE, part, data, crowded, details=details)
