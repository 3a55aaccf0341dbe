"""Flags of ``detkit track`` in groups, and the types of its numbers."""

from __future__ import annotations

import argparse

from detkit.cli.track import marks
from detkit.cli.values import parse_number, seconds


def rate(text: str) -> float:
    """Parse a frame rate, for ``type=``; see :func:`detkit.cli.values.parse_number`."""
    return parse_number(text, lambda value: 0 < value < 10_000, "frames per second, a number above 0,")


def add_tracker_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the tracker."""
    group = parser.add_argument_group("tracker")
    group.add_argument(
        "--tracker", metavar="NAME", help="bytetrack, sort, or one of the package trackers, such as trackers:botsort (default: bytetrack)"
    )
    group.add_argument("--max-lost", type=seconds, metavar="S", help="seconds for which an undetected object keeps its id (default: 1)")
    group.add_argument("--class-agnostic", action="store_true", help="an object keeps its id if it is detected as another class")
    group.add_argument(
        "--observation-centric", action="store_true", help="correct the motion model when a lost object is found again, as in OC-SORT"
    )
    group.add_argument("--smooth", action="store_true", help="smooth boxes and scores over time")
    group.add_argument(
        "--set", action="append", metavar="KEY=VALUE", help="another setting of the tracker, such as min_iou=0.2; may be repeated"
    )
    group.add_argument(
        "--follow", type=marks.followed_box, metavar="X,Y,W,H", help="follow one object, given by its box in the first frame, in pixels"
    )


def add_counting_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of lines and zones."""
    group = parser.add_argument_group("counting")
    group.add_argument(
        "--line", type=marks.line, action="append", metavar="[NAME=]X1,Y1,X2,Y2", help="count objects over a line; may be repeated"
    )
    group.add_argument(
        "--zone", type=marks.zone, action="append", metavar="[NAME=]X,Y,X,Y,...", help="count objects in a polygon; may be repeated"
    )
    group.add_argument(
        "--anchor",
        choices=("center", "bottom", "top", "left", "right"),
        help="point of a box that is counted and that draws the trail; bottom is where a person stands (default: %(default)s)",
    )
