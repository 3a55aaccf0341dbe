"""Flags for detection on several scales of every image."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from detkit.cli.flags import add_flags

if TYPE_CHECKING:
    from detkit.inference import ImagePyramid, Predictor
    from detkit.inference.min_scores import MinScore
    from detkit.inference.pyramid import Merge

P = TypeVar("P")


@dataclass(frozen=True, kw_only=True)
class PyramidOptions:
    """Options of the commands that detect, also on several scales.

    Attributes:
        max_detections: Maximum number of detections per image; None: the model's own.
        pyramid: Scales of the image pyramid; empty: the detector's own size.
        flip: Whether to detect also on the mirrored image.
        sizes: Range of box sizes of each scale.
        merge: How overlapping boxes are merged; None: hard NMS.
    """

    max_detections: int | None = None
    pyramid: tuple[float, ...] = ()
    flip: bool = False
    sizes: tuple[tuple[float, float], ...] = ()
    merge: Merge | None = None

    @property
    def wants_pyramid(self) -> bool:
        """Whether more than one view of an image is requested."""
        return bool(self.pyramid or self.flip)


def add_pyramid_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-detections``, ``--pyramid``, ``--flip``, ``--sizes`` and ``--merge``."""
    add_flags(parser, "--max-detections")
    group = parser.add_argument_group("image pyramid", "detect on several scales of each image, and merge the detections")
    add_flags(group, "--pyramid", "--flip", "--sizes", "--merge")


def check_pyramid_options(options: PyramidOptions) -> None:
    """Refuse flags that do not go together, before any work.

    Raises:
        ValueError: If a flag needs scales and none are given.
    """
    for flag, value in (("sizes", options.sizes), ("merge", options.merge)):
        if value and not options.wants_pyramid:
            raise ValueError(f"--{flag} needs an image pyramid; give its scales with --pyramid, such as --pyramid 0.5 1 2")


def with_pyramid(predictor: P, options: PyramidOptions, min_score: MinScore = 0.0) -> P | ImagePyramid[Any]:
    """Return the requested pyramid of a :class:`Predictor` after printing it, or the predictor itself without such flags."""
    if not options.wants_pyramid:
        return predictor
    from detkit.inference import ImagePyramid

    scales, sizes, merge = options.pyramid or (1,), options.sizes or None, options.merge or "hard"
    limit = {} if options.max_detections is None else {"max_detections": options.max_detections}
    pyramid = ImagePyramid(cast("Predictor", predictor), scales, sizes=sizes, flip=options.flip, merge=merge, min_score=min_score, **limit)
    print(f"pyramid: {pyramid}")
    return pyramid
