"""``detkit data filter``: keep only some boxes and images."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detkit.cli.data.output import OutputFlags, add_output_flags, write_and_print
from detkit.cli.data.source import SourceFlags, add_source_flags, print_parts_without_boxes
from detkit.cli.flags import add_flags, class_names
from detkit.cli.options import bind
from detkit.cli.report import count
from detkit.cli.values import parse_number, positive, size_range

if TYPE_CHECKING:
    from detkit.curation.filter import Filtered

Actions = argparse._SubParsersAction

_DESCRIPTION = """Keep only some boxes and images. First boxes are selected by class and size; then images are, by the boxes that are left.

  detkit data filter my_data people --classes person --where 'boxes>0'
  detkit data filter my_data large --min-side 8 --ignore
  detkit data filter my_data crowded --where 'boxes>=20 or car>5' 'width>=640'

Crowds and ignore regions stay whatever their size, and do not count as boxes of an image."""
_WHERE_HELP = """keep images for which all these conditions hold: comparisons joined by 'and' and 'or' of boxes (their number), width,
height, side (the shorter one) or area of the image in pixels, or of a class, which is the number of its boxes ('"traffic light">0')"""


@dataclass(frozen=True, kw_only=True)
class FilterCommand(SourceFlags, OutputFlags):
    """Options of ``detkit data filter``; see :class:`detkit.curation.filter.FilterOptions`.

    Attributes:
        classes: Classes to keep; None: all.
        drop_classes: Classes to drop.
        min_side: Shortest side of a box in pixels.
        max_side: Longest side of a box in pixels.
        min_box_area: Smallest area of a box, and whether it is a fraction of the image.
        max_box_area: Largest area; None: no limit.
        image_sides: Shortest side of an image, and the first that is too long.
        min_boxes: Smallest number of boxes of an image.
        max_boxes: Largest number; None: no limit.
        where: Conditions that all hold for an image.
        names: Regular expression that the name of an image contains.
        drop_empty: Whether images without boxes are dropped.
        ignore: Whether boxes become ignore regions instead of being dropped.
    """

    classes: tuple[str, ...] | None = None
    drop_classes: tuple[str, ...] = ()
    min_side: float = 0.0
    max_side: float = math.inf
    min_box_area: tuple[float, bool] = (0.0, False)
    max_box_area: tuple[float, bool] | None = None
    image_sides: tuple[float, float] = (0.0, math.inf)
    min_boxes: int = 0
    max_boxes: int | None = None
    where: tuple[str, ...] = ()
    names: str | None = None
    drop_empty: bool = False
    ignore: bool = False


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = actions.add_parser(
        "filter",
        help="keep only some boxes and images",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_flags(parser)
    add_output_flags(parser)
    boxes = parser.add_argument_group("boxes")
    add_flags(boxes, "--classes", help="keep only boxes of these classes")
    boxes.add_argument("--drop-classes", nargs="+", action="extend", metavar="NAME", help="drop the boxes of these classes")
    boxes.add_argument("--min-side", type=_pixels, metavar="N", help="drop boxes whose shorter side is below N pixels")
    boxes.add_argument("--max-side", type=_pixels, metavar="N", help="drop boxes whose longer side is above N pixels")
    boxes.add_argument("--min-box-area", type=_area, metavar="A", help="drop smaller boxes: square pixels, or percent of the image (0.1%%)")
    boxes.add_argument("--max-box-area", type=_area, metavar="A", help="drop larger boxes: square pixels, or percent of the image (50%%)")
    boxes.add_argument("--ignore", action="store_true", help="turn the boxes into ignore regions instead of dropping them")
    images = parser.add_argument_group("images")
    images.add_argument(
        "--image-sides", type=size_range, metavar="FROM:BELOW", help="keep images whose shorter side is in this range, such as 480:"
    )
    images.add_argument("--min-boxes", type=positive, metavar="N", help="keep images with N boxes or more")
    images.add_argument("--max-boxes", type=int, metavar="N", help="keep images with N boxes or fewer")
    images.add_argument("--where", nargs="+", action="extend", metavar="CONDITION", help=_WHERE_HELP)
    images.add_argument("--names", metavar="REGEX", help="keep images whose path in the image folder matches, such as ^night/")
    images.add_argument("--drop-empty", action="store_true", help="drop images that lose all their boxes (default: they stay)")
    bind(parser, FilterCommand, _run)


def _run(options: FilterCommand) -> int:
    from detkit.curation.filter import Area, FilterOptions, filter_parts

    data = options.read()
    values: dict[str, Any] = {name: getattr(options, name) for name in _SHARED}
    filtered = filter_parts(
        data,
        FilterOptions(
            **values,
            classes=_names(options.classes, data.class_names),
            drop_classes=_names(options.drop_classes or None, data.class_names) or (),
            min_area=Area(*options.min_box_area),
            max_area=None if options.max_box_area is None else Area(*options.max_box_area),
        ),
    )
    _print(filtered, options.ignore)
    print_parts_without_boxes(filtered.data)
    write_and_print(filtered.data, options.output, options.options(options.data))
    return 0


_SHARED = ("min_side", "max_side", "image_sides", "min_boxes", "max_boxes", "where", "names", "drop_empty", "ignore")


def _print(filtered: Filtered, ignore: bool) -> None:
    """Print what was dropped by reason, and what it means for a training."""
    for reason, number in filtered.images.items():
        print(f"images dropped: {reason}: {number:,}")
    if filtered.boxes_of_images:
        print(f"boxes dropped with their images: {filtered.boxes_of_images:,}")
    for reason, number in filtered.boxes.items():
        print(f"boxes {'turned into ignore regions' if ignore else 'dropped'}: {reason}: {number:,}")
    for name in filtered.empty_parts:
        print(f"{name}: no image is left, so the part is left out")
    exposed = sum(filtered.boxes.values())
    if exposed and not ignore:
        print(
            f"{count(exposed, 'object is', 'objects are')} still in the images without a box, and a detector learns them as background; "
            "to keep them from being learned at all, add --ignore"
        )


def _names(words: tuple[str, ...] | None, known: tuple[str, ...]) -> tuple[str, ...] | None:
    names = class_names(words, known)
    return None if names is None else tuple(names)


def _pixels(text: str) -> float:
    return parse_number(text, lambda value: 0 <= value < math.inf, "a number of pixels,")


def _area(text: str) -> tuple[float, bool]:
    """Parse ``400`` or ``0.5%`` to a number and whether it is a fraction of the image."""
    number = parse_number(text.removesuffix("%"), lambda value: 0 <= value < math.inf, "square pixels, such as 400, or 0.5%,")
    return (number / 100, True) if text.endswith("%") else (number, False)
