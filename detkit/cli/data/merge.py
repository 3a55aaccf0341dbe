"""``detkit data merge``: several data sets as one."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from detkit.cli.data.output import OutputFlags, add_output_flags, write_and_print
from detkit.cli.options import bind

Actions = argparse._SubParsersAction

_DESCRIPTION = """Write several data sets as one. Classes and parts are joined by name; all images are kept.

  detkit data merge first second both
  detkit data merge voc_folder coco.json both --format coco

The last word is the new folder. Equal file names get a number, equal ids are numbered again, and mapping.csv lists the old and new ones.
Classes whose names differ only by case or spaces, and images with the same bytes, are reported."""


@dataclass(frozen=True, kw_only=True)
class MergeCommand(OutputFlags):
    """Options of ``detkit data merge``.

    Attributes:
        sources: The data sets.
    """

    sources: tuple[str, ...]


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = actions.add_parser(
        "merge", help="write several data sets as one", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", metavar="DATA", help="two labeled data sets or more, in any format")
    add_output_flags(parser)
    bind(parser, MergeCommand, _run)


def _run(options: MergeCommand) -> int:
    from detkit.curation.merge import merge_parts
    from detkit.curation.output import check_apart, check_new
    from detkit.curation.parts import read_parts

    check_new(options.output)
    for source in options.sources:
        check_apart(Path(source), options.output)
    sources = [read_parts(source) for source in options.sources]
    for line in dict.fromkeys(line for source in sources for line in source.report_lines()):
        print(line)
    merged = merge_parts(sources)
    for line in merged.notes:
        print(line)
    write_and_print(merged.data, options.output, options.options(options.sources[0]))
    return 0
