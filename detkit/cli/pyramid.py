"""Flags by which a command looks at every image at several scales."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detkit.inference import ImagePyramid, Predictor

MERGES = ("hard", "linear", "gaussian", "fusion")


def add_pyramid_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--pyramid``, ``--flip``, ``--sizes`` and ``--merge``."""
    group = parser.add_argument_group("image pyramid", "look at each image several times, and merge what is found")
    group.add_argument(
        "--pyramid",
        nargs="+",
        type=_number,
        metavar="S",
        help="scales: factors up to 16 on the detector's own size, such as 0.5 1 2, or short sides from 32 pixels on, such as 400 800 1600",
    )
    group.add_argument("--flip", action="store_true", help="look at the mirror image too, at every scale (alone: at the detector's own)")
    group.add_argument(
        "--sizes",
        nargs="+",
        type=_range,
        metavar="FROM:BELOW",
        help="for each scale the detections it is trusted with, as square roots of areas in the image's pixels: 64: 24:128 :48",
    )
    group.add_argument(
        "--merge", choices=MERGES, help="of what overlaps: hard suppression (the default), linear or gaussian soft suppression, or fusion"
    )


def check_pyramid_arguments(args: argparse.Namespace) -> None:
    """Complain about flags that do not go together, before any work.

    Raises:
        ValueError: a flag that needs scales has none.
    """
    for flag in ("sizes", "merge"):
        if getattr(args, flag) and not wants_pyramid(args):
            raise ValueError(f"--{flag} is for an image pyramid; give its scales with --pyramid, such as --pyramid 0.5 1 2")


def wants_pyramid(args: argparse.Namespace) -> bool:
    """Whether the flags ask for more than one look at a image."""
    return bool(args.pyramid or args.flip)


def with_pyramid(predictor: Predictor, args: argparse.Namespace, min_score: float = 0.0) -> Predictor | ImagePyramid:
    """The pyramid that the flags ask for, which is told, or the predictor as it is."""
    if not wants_pyramid(args):
        return predictor
    from detkit.inference import ImagePyramid

    numbers = {"sizes": args.sizes, "flip": args.flip, "merge": args.merge or "hard", "min_score": min_score}
    pyramid = ImagePyramid(predictor, args.pyramid or (1,), **numbers)
    print(f"pyramid: {pyramid}")
    return pyramid


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        images = "; name images before --pyramid, which takes every word behind it"
        raise argparse.ArgumentTypeError(f"expected numbers, got {text!r}{images}") from None


def _range(text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    try:
        if colon:
            return float(low or 0), float(high or math.inf)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected FROM:BELOW, such as 24:128, 64: or :48, got {text!r}")
