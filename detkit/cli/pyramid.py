"""Flags for detection on several scales of every image."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from detkit.cli.flags import add_flags

if TYPE_CHECKING:
    from detkit.inference import ImagePyramid, Predictor


def add_pyramid_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--pyramid``, ``--flip``, ``--sizes`` and ``--merge``."""
    group = parser.add_argument_group("image pyramid", "detect on several scales of each image, and merge the detections")
    add_flags(group, "--pyramid", "--flip", "--sizes", "--merge")


def check_pyramid_arguments(args: argparse.Namespace) -> None:
    """Refuse flags that do not go together, before any work.

    Raises:
        ValueError: If a flag needs scales and none are given.
    """
    for flag in ("sizes", "merge"):
        if getattr(args, flag) and not wants_pyramid(args):
            raise ValueError(f"--{flag} needs an image pyramid; give its scales with --pyramid, such as --pyramid 0.5 1 2")


def wants_pyramid(args: argparse.Namespace) -> bool:
    """Whether the flags request more than one view of an image."""
    return bool(args.pyramid or args.flip)


def with_pyramid(predictor: Predictor, args: argparse.Namespace, min_score: float = 0.0) -> Predictor | ImagePyramid:
    """Return the requested pyramid after printing it, or the predictor itself without such flags."""
    if not wants_pyramid(args):
        return predictor
    from detkit.inference import ImagePyramid

    settings = {"sizes": args.sizes, "flip": args.flip, "merge": args.merge or "hard", "min_score": min_score}
    pyramid = ImagePyramid(predictor, args.pyramid or (1,), **settings)
    print(f"pyramid: {pyramid}")
    return pyramid
