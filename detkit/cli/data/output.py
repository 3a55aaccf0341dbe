"""Flags of the commands that write a data set, and the lines that they print."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.data.writers import WRITERS

if TYPE_CHECKING:
    from detkit.curation.output import Copy, OutputOptions, Written
    from detkit.curation.parts import LabeledParts

_COPIES = ("link", "copy", "none")


def add_output_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``OUTPUT``, ``--format``, ``--copy`` and ``--strict``; their options are ``output``, ``format``, ``copy`` and ``strict``."""
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="a new folder")
    parser.add_argument("--format", choices=tuple(WRITERS), help="format of the new labels (default: that of the source, or coco)")
    parser.add_argument("--copy", choices=_COPIES, help="how images get into the new folder (default: %(default)s)")
    parser.add_argument("--strict", action="store_true", help="refuse to write labels that the format cannot hold completely")


def output_options(source: str, kind: str | None, copy: Copy, strict: bool) -> OutputOptions:
    """Return the options of the output; without a format, it is that of the source."""
    from detkit.curation.output import OutputOptions
    from detkit.data.readers import recognize

    own = recognize(Path(source)).kind
    return OutputOptions(kind=kind or (own if own in WRITERS else "coco"), copy=copy, strict=strict)


def write_and_print(data: LabeledParts, output: Path, options: OutputOptions) -> Written:
    """Write a data set and print what was written and what was lost."""
    from detkit.curation.output import write_parts

    written = write_parts(data, output, options)
    for name, part in data:
        print(f"{name}: {len(part):,} images, {len(part.data.records.labels):,} boxes")
    for value, count in written.lost.items():
        print(f"not in {options.kind}: {value}: {count:,}")
    for line in written.notes:
        print(line)
    print(f"{output}: ready; look at it with: detkit data check {output}")
    return written
