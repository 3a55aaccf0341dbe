"""The check of a labeled data set with all its parts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detkit.curation.checking.model_fit import model_findings
from detkit.curation.checking.reading import read_each
from detkit.curation.parts import WHOLE, LabeledParts
from detkit.data import SourceConfig
from detkit.data.checks.labels import check_labels
from detkit.data.checks.report import CheckReport
from detkit.data.checks.rules import UNCOMPARED_FILES
from detkit.data.readers import find_split
from detkit.data.tiles import TileConfig
from detkit.models.detector import DetectorConfig

Progress = Callable[[int, int], None]
"""Called with the number of images whose pixels were checked, and that of all images."""


@dataclass(frozen=True, eq=False)
class Checked:
    """A data set that was checked.

    Attributes:
        parts: The parts that could be read; None if there are none.
        report: What was found.
    """

    parts: LabeledParts | None
    report: CheckReport


def check(
    source: SourceConfig | str | Path,
    parts: Sequence[str] = (),
    *,
    model: DetectorConfig | None = None,
    pixels: bool = False,
    progress: Progress | None = None,
) -> CheckReport:
    """Check the labels and image headers of a data set, and with ``pixels`` its images.

    Args:
        source: The data.
        parts: The parts to check; empty: all.
        model: Find boxes that this model cannot learn or detect well, too.
        pixels: Decode every image: find damaged ones, and duplicates and leaks by content.
        progress: Called while pixels are checked.

    Raises:
        FileNotFoundError: If the path does not exist.
        ValueError: If the format is not recognized.
    """
    return check_parts(source, parts, model=model, pixels=pixels, progress=progress).report


def check_parts(
    source: SourceConfig | str | Path,
    parts: Sequence[str] = (),
    *,
    model: DetectorConfig | None = None,
    tiles: TileConfig | None = None,
    pixels: bool = False,
    progress: Progress | None = None,
) -> Checked:
    """Check a data set, and return its parts with the report; see :func:`check`."""
    config = source if isinstance(source, SourceConfig) else SourceConfig(path=str(source))
    if pixels:  # every image is read anyway
        config = config.replace(max_checked_images=sys.maxsize)
    read = read_each(config, parts)
    if read.parts is None:
        return Checked(None, CheckReport(config.path, read.failures))
    data = {name: part.data for name, part in read.parts}
    train = find_split(WHOLE, tuple(data)) or (next(iter(data)) if len(data) == 1 else WHOLE)
    report = check_labels(config.path, data, train).with_findings(read.failures)
    if model is not None:
        report = report.with_findings(tuple(model_findings(model, data, tiles)))
    if pixels:
        from detkit.curation.duplicates import check_pixels

        known = tuple(finding for finding in report.findings if finding.rule is not UNCOMPARED_FILES)  # these are compared now
        report = replace(report, findings=(*known, *check_pixels(read.parts, progress=progress)))
    return Checked(read.parts, report)
