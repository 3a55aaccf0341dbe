"""``detkit data rename``: rename, join and drop classes."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.data.output import OutputFlags, add_output_flags, write_and_print
from detkit.cli.data.source import SourceFlags, add_source_flags, print_parts_without_boxes
from detkit.cli.options import bind
from detkit.cli.report import listed, table

if TYPE_CHECKING:
    from detkit.curation.rename import Renamed

Actions = argparse._SubParsersAction

_DESCRIPTION = """Rename, join and drop classes. Classes with the same new name become one.

  detkit data rename my_data new tvmonitor=tv
  detkit data rename my_data new car=vehicle bus=vehicle truck=vehicle --drop bicycle
  detkit data rename my_data new --lower --strip"""


@dataclass(frozen=True, kw_only=True)
class RenameCommand(SourceFlags, OutputFlags):
    """Options of ``detkit data rename``.

    Attributes:
        names: Words ``OLD=NEW``.
        file: File with more of them.
        drop: Classes to drop.
        lower: Convert names to lower case.
        strip: Remove spaces around names.
    """

    names: tuple[str, ...] = ()
    file: Path | None = None
    drop: tuple[str, ...] = ()
    lower: bool = False
    strip: bool = False


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = actions.add_parser(
        "rename", help="rename, join or drop classes", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_source_flags(parser)
    add_output_flags(parser)
    parser.add_argument("names", nargs="*", metavar="OLD=NEW", help="new name of a class; several classes may get the same one")
    parser.add_argument("--file", type=Path, metavar="FILE", help="text file with OLD=NEW lines, or CSV file with OLD,NEW; empty NEW: drop")
    parser.add_argument("--drop", nargs="+", action="extend", metavar="NAME", help="drop these classes with their boxes")
    parser.add_argument("--lower", action="store_true", help="convert all names to lower case")
    parser.add_argument("--strip", action="store_true", help="remove spaces around names, and repeated ones inside")
    bind(parser, RenameCommand, _run)


def _run(options: RenameCommand) -> int:
    from detkit.curation.rename import DROPPED, read_renames, rename_classes
    from detkit.data import parse_renames

    names = parse_renames(options.names)
    names |= read_renames(options.file) if options.file else {}
    names |= dict.fromkeys(options.drop, DROPPED)
    if not (names or options.lower or options.strip):
        raise ValueError("rename: expected OLD=NEW, --drop, --file, --lower or --strip, got none of them")
    renamed = rename_classes(options.read(), names, strip=options.strip, lower=options.lower)
    _print(renamed)
    print_parts_without_boxes(renamed.data)
    write_and_print(renamed.data, options.output, options.options(options.data))
    return 0


def _print(renamed: Renamed) -> None:
    mapping = renamed.mapping
    targets = ["(dropped)" if index is None else mapping.names[index] for index in mapping.indices]
    rows = [(old, new, f"{count:,}") for old, new, count in zip(mapping.data_names, targets, renamed.boxes, strict=True)]
    print(table(rows, ("class", "new name", "boxes"), {"boxes"}))
    for name, old in renamed.joined.items():
        print(f"{name}: joined from {listed(old)}")
    if renamed.dropped_boxes:
        print(f"{renamed.dropped_boxes:,} objects of dropped classes are still in the images, and a detector learns them as background")
