"""``detkit data subset``: take some of the images."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.data.output import OutputFlags, add_output_flags, write_and_print
from detkit.cli.data.source import SourceFlags, add_source_flags, print_parts_without_boxes
from detkit.cli.flags import add_flags
from detkit.cli.options import bind
from detkit.cli.report import count
from detkit.cli.values import fraction, positive

if TYPE_CHECKING:
    from detkit.curation.parts import LabeledParts

Actions = argparse._SubParsersAction

_DESCRIPTION = """Take some of the images: at random, but the same ones everywhere; a larger subset contains the smaller one.

  detkit data subset my_data small --count 500
  detkit data subset my_data small --fraction 0.1 --complete val
  detkit data subset my_data small --per-class 50
  detkit data subset my_data bad --names-file names.txt"""


@dataclass(frozen=True, kw_only=True)
class SubsetCommand(SourceFlags, OutputFlags):
    """Options of ``detkit data subset``; see :class:`detkit.curation.subset.SubsetOptions`.

    Attributes:
        count: Number of images; None: as the other options say.
        fraction: Fraction of each part.
        per_class: Number of boxes of each class.
        complete: Parts that stay as they are.
        seed: Seed of the choice.
        ids_file: File of the ids of the images to take.
        names_file: File of their names.
    """

    count: int | None = None
    fraction: float | None = None
    per_class: int = 0
    complete: tuple[str, ...] = ()
    seed: int = 0
    ids_file: Path | None = None
    names_file: Path | None = None


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = actions.add_parser(
        "subset", help="take some of the images", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_source_flags(parser)
    add_output_flags(parser)
    parser.add_argument("--count", type=positive, metavar="N", help="number of images, divided among the parts in proportion")
    parser.add_argument("--fraction", type=fraction, metavar="F", help="fraction of the images of each part, such as 0.1")
    parser.add_argument("--per-class", type=positive, metavar="N", help="N boxes or more of each class in each part, where it has them")
    parser.add_argument("--complete", nargs="+", action="extend", metavar="PART", help="parts that stay complete, such as val")
    parser.add_argument("--ids-file", type=Path, metavar="FILE", help="take the images whose ids are in this file, one per line")
    parser.add_argument("--names-file", type=Path, metavar="FILE", help="take the images whose file names are in this file, one per line")
    add_flags(parser, "--seed", help="another seed takes other images (default: %(default)s)")
    bind(parser, SubsetCommand, _run)


def _run(options: SubsetCommand) -> int:
    by_number = options.count is not None or options.fraction is not None or options.per_class > 0
    if [by_number, options.ids_file is not None, options.names_file is not None].count(True) != 1:
        raise ValueError(
            "subset: expected one of --count or --fraction (with or without --per-class), --per-class, --ids-file and --names-file"
        )
    data = options.read()
    taken = _by_number(data, options) if by_number else _by_list(data, options)
    print(f"{taken.image_count:,} of {count(data.image_count, 'image')}")
    print_parts_without_boxes(taken)
    write_and_print(taken, options.output, options.options(options.data))
    return 0


def _by_number(data: LabeledParts, options: SubsetCommand) -> LabeledParts:
    from detkit.curation.subset import SubsetOptions, subset_parts

    taken = subset_parts(
        data,
        SubsetOptions(
            images=options.count,
            fraction=options.fraction,
            per_class=options.per_class,
            complete=options.complete,
            seed=options.seed,
        ),
    )
    for part, classes in taken.short.items():
        numbers = ", ".join(f"{name} {number:,}" for name, number in classes.items())
        print(f"{part}: all boxes of these classes, which are fewer than {options.per_class}: {numbers}")
    return taken.data


def _by_list(data: LabeledParts, options: SubsetCommand) -> LabeledParts:
    from detkit.curation.subset import subset_of_ids, subset_of_names

    if options.ids_file is not None:
        return subset_of_ids(data, _lines(options.ids_file))
    return subset_of_names(data, _lines(options.names_file)) if options.names_file is not None else data


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
