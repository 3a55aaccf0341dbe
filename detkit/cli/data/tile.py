"""``detkit data tile``: cut large images into overlapping tiles."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detkit.cli.data.output import OutputFlags, add_output_flags, write_and_print
from detkit.cli.data.source import SourceFlags, add_source_flags, print_parts_without_boxes
from detkit.cli.flags import add_flags
from detkit.cli.options import bind
from detkit.cli.values import image_size, parse_number, positive, unit_interval

if TYPE_CHECKING:
    from detkit.curation.tile import Partial

Actions = argparse._SubParsersAction

_DESCRIPTION = """Cut large images into overlapping tiles, each an image of its own, so that small objects keep their pixels in training.

  detkit data tile my_data tiles --tile-size 640
  detkit data tile my_data tiles --tile-size 512x1024 --overlap 0.3 --empty 0.1

Tiles are PNG files, without loss; the name ends with the position of the upper left corner (a_640_0.png). Boxes are clipped to the tile.
To detect on large images in the same way: detkit detect --tiles 640."""


@dataclass(frozen=True, kw_only=True)
class TileCommand(SourceFlags, OutputFlags):
    """Options of ``detkit data tile``; see :class:`detkit.curation.tile.TileOptions`.

    Attributes:
        tile_size: Height and width of a tile in pixels.
        overlap: Smallest overlap as a fraction of a tile.
        min_visibility: Smallest visible fraction of a box.
        partial: What becomes of boxes of which a tile shows less.
        empty: Fraction of the tiles without objects to keep.
        keep_extension: Whether tiles have the format of their image.
        seed: Seed of the choice among tiles without objects.
    """

    tile_size: tuple[int, int]
    overlap: float = 0.2
    min_visibility: float = 0.3
    partial: Partial = "ignore"
    empty: float = 1.0
    keep_extension: bool = False
    seed: int = 0


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = actions.add_parser(
        "tile", help="cut large images into tiles", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_source_flags(parser)
    add_output_flags(parser)
    parser.add_argument(
        "--tile-size", type=_tile_size, required=True, metavar="HxW", help="size of a tile in pixels: 640, or height x width"
    )
    parser.add_argument("--overlap", type=_overlap, metavar="F", help="smallest overlap, as a fraction of a tile (default: %(default)s)")
    parser.add_argument(
        "--min-visibility", type=unit_interval, metavar="F", help="smallest visible fraction of an object's box (default: %(default)s)"
    )
    parser.add_argument(
        "--partial",
        choices=("ignore", "drop"),
        help="what becomes of objects of which a tile shows less: ignore regions, or background (default: %(default)s)",
    )
    parser.add_argument(
        "--empty", type=_empty, metavar="keep|drop|F", help="keep all (default), none, or a fraction of tiles without objects"
    )
    parser.add_argument("--keep-extension", action="store_true", help="write tiles in the format of their image, such as JPEG")
    add_flags(parser, "--seed", help="seed of the choice among tiles without objects (default: %(default)s)")
    bind(parser, TileCommand, _run)


def _run(options: TileCommand) -> int:
    from detkit.curation.tile import TileOptions, tile_parts

    tiled = tile_parts(
        options.read(),
        TileOptions(
            size=options.tile_size,
            overlap=options.overlap,
            min_visibility=options.min_visibility,
            partial=options.partial,
            empty=options.empty,
            extension=None if options.keep_extension else ".png",
            seed=options.seed,
        ),
    )
    for text, number in tiled.counts.items():
        print(f"{text}: {number:,}")
    print_parts_without_boxes(tiled.data)
    write_and_print(tiled.data, options.output, options.options(options.data))
    return 0


def _tile_size(text: str) -> tuple[int, int]:
    return (positive(text),) * 2 if text.isdecimal() else image_size(text)  # type: ignore[return-value]


def _overlap(text: str) -> float:
    return parse_number(text, lambda value: 0 <= value < 1, "a number from 0 to below 1, such as 0.2;")


def _empty(text: str) -> float:
    names = {"keep": 1.0, "drop": 0.0}
    return names[text] if text in names else parse_number(text, lambda value: 0 <= value <= 1, "keep, drop, or a number from 0 to 1,")
