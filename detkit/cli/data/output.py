"""Flags of the commands that write a data set, and the lines that they print."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.data.progress import image_progress
from detkit.cli.flags import add_flags
from detkit.data.writers import WRITERS

if TYPE_CHECKING:
    from detkit.curation.output import Copy, OutputOptions, Written
    from detkit.curation.parts import LabeledParts


@dataclass(frozen=True, kw_only=True)
class OutputFlags:
    """The flags of :func:`add_output_flags`; the options of a command that writes a data set inherit them.

    Attributes:
        output: The new folder.
        format: Format of its labels; None: that of the source, or COCO if that cannot be written.
        copy: How images get into the new folder.
        strict: Refuse to write labels that the format cannot hold completely.
        voc_integers: Round the boxes of VOC labels to whole pixels.
        polygons: Write outlines instead of boxes where the format has only one of them.
    """

    output: Path
    format: str | None = None
    copy: Copy = "link"
    strict: bool = False
    voc_integers: bool = False
    polygons: bool = False

    def options(self, source: str | Path) -> OutputOptions:
        """Return how to write what was read from a source, whose format is the default."""
        from detkit.curation.output import OutputOptions
        from detkit.data.readers import recognize

        kind = self.format or recognize(Path(source)).kind
        return OutputOptions(
            kind=kind if kind in WRITERS else "coco",
            copy=self.copy,
            strict=self.strict,
            voc_integers=self.voc_integers,
            polygons=self.polygons,
        )


def add_output_flags(parser: argparse.ArgumentParser, *, needs_format: bool = False) -> None:
    """Add ``OUTPUT`` and the flags of :class:`OutputFlags`; ``--format`` has a default unless the command needs it."""
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="a new folder")
    default = "" if needs_format else " (default: that of the source, or coco)"
    add_flags(parser, "--format", required=needs_format, help=f"format of the new labels{default}")
    add_flags(parser, "--copy", "--strict", "--voc-integers", "--polygons")


def write_and_print(data: LabeledParts, output: Path, options: OutputOptions) -> Written:
    """Write a data set and print what was written and what was lost."""
    from detkit.curation.output import write_parts

    with image_progress() as progress:
        written = write_parts(data, output, options, progress)
    for name, part in data:
        print(f"{name}: {len(part):,} images, {len(part.data.records.labels):,} boxes")
    for value, count in written.lost.items():
        print(f"not in {options.kind}: {value}: {count:,}")
    for line in written.notes:
        print(line)
    print(f"{output}: ready; look at it with: detkit data check {output}")
    return written
