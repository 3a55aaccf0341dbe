"""Flags of the commands that read a data set with all its parts."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detkit.cli.flags import add_flags

if TYPE_CHECKING:
    from detkit.curation.parts import LabeledParts


@dataclass(frozen=True, kw_only=True)
class SourceFlags:
    """The flags of :func:`add_source_flags`; the options of a command that reads a data set inherit them.

    Attributes:
        data: The data set.
        images: Folder of its images, if it is not where the labels say.
        parts: Its parts to read; empty: all.
    """

    data: str
    images: str | None = None
    parts: tuple[str, ...] = ()

    def read(self) -> LabeledParts:
        """Read the data set, and print what the reader skipped or changed."""
        from detkit.curation.parts import read_parts
        from detkit.data import SourceConfig

        data = read_parts(SourceConfig(path=self.data, images=self.images), self.parts)
        for line in data.report_lines():
            print(line)
        return data


def add_source_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``DATA``, and the flags of :class:`SourceFlags`."""
    parser.add_argument("data", metavar="DATA", help="labeled data: a folder, a COCO JSON file, a YOLO data.yaml, or another label file")
    add_flags(parser, "--images", help="folder of the images, if it is not where the labels say")
    add_flags(parser, "--parts", help="parts to read, such as train val (default: all)")


def print_parts_without_boxes(data: LabeledParts) -> None:
    """Print which parts have images and no boxes, which training and evaluation cannot use."""
    for name, part in data:
        if len(part) and not len(part.data.records.labels):
            print(f"{name}: no box is left, and detkit does not read such a part: leave it out with --parts, or keep more boxes")
