"""``detkit data convert``: write labels in another format."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from detkit.cli.data.output import OutputFlags, add_output_flags, write_and_print
from detkit.cli.data.source import SourceFlags, add_source_flags
from detkit.cli.options import bind

Actions = argparse._SubParsersAction

_DESCRIPTION = """Write a data set with its labels in another format. Boxes, classes, file names and subfolders are kept exactly.

  detkit data convert my_data my_yolo --format yolo
  detkit data convert annotations.xml my_coco --format coco --images my_images

What the new format cannot hold, such as polygons in YOLO labels, is counted and listed; with --strict, nothing is written instead.
Old and new names and ids of images are written to mapping.csv where they change."""


@dataclass(frozen=True, kw_only=True)
class ConvertCommand(SourceFlags, OutputFlags):
    """Options of ``detkit data convert``."""


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = actions.add_parser(
        "convert",
        help="write labels in another format",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_flags(parser)
    add_output_flags(parser, needs_format=True)
    bind(parser, ConvertCommand, _run)


def _run(options: ConvertCommand) -> int:
    write_and_print(options.read(), options.output, options.options(options.data))
    return 0
