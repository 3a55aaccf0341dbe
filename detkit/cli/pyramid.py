"""Flags for detection on several views of every image: scales of it, and tiles."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from detkit.cli.flags import add_flags

if TYPE_CHECKING:
    from detkit.inference import ImagePyramid
    from detkit.inference.light import BasePredictor
    from detkit.inference.min_scores import MinScore
    from detkit.inference.pyramid import Merge

P = TypeVar("P")


@dataclass(frozen=True, kw_only=True)
class PyramidOptions:
    """Options of the commands that detect, also on several views.

    Attributes:
        max_detections: Maximum number of detections per image; None: the model's own.
        pyramid: Scales of the image pyramid; empty: the detector's own size.
        tiles: Sides of tiles; empty: no tiles.
        tile_overlap: Overlap of neighboring tiles.
        tiles_only: Whether the whole image is left out.
        flip: Whether to detect also on the mirrored image.
        sizes: Range of box sizes of each scale and side of tiles.
        merge: How overlapping boxes are merged; None: hard NMS.
    """

    max_detections: int | None = None
    pyramid: tuple[float, ...] = ()
    tiles: tuple[int, ...] = ()
    tile_overlap: float = 0.2
    tiles_only: bool = False
    flip: bool = False
    sizes: tuple[tuple[float, float], ...] = ()
    merge: Merge | None = None

    @property
    def wants_pyramid(self) -> bool:
        """Whether more than one view of an image is requested."""
        return bool(self.pyramid or self.tiles or self.flip)


Views = TypeVar("Views", bound=PyramidOptions)


def add_pyramid_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of :class:`PyramidOptions`."""
    add_flags(parser, "--max-detections")
    group = parser.add_argument_group(
        "tiles and image pyramid", "detect on tiles of each image, or at several scales, and merge the detections"
    )
    add_flags(group, "--tiles", "--tile-overlap", "--tiles-only", "--pyramid", "--flip", "--sizes", "--merge")


def check_pyramid_options(options: PyramidOptions) -> None:
    """Refuse flags that do not go together, before any work.

    Raises:
        ValueError: If a flag needs tiles or scales and none are given.
    """
    for flag, value in (("sizes", options.sizes), ("merge", options.merge)):
        if value and not options.wants_pyramid:
            raise ValueError(
                f"--{flag} needs an image pyramid or tiles; give its scales with --pyramid, such as --pyramid 0.5 1 2, or --tiles 640"
            )
    if options.tiles_only and not options.tiles:
        raise ValueError("--tiles-only needs tiles; give their side with --tiles, such as --tiles 640")
    if options.tiles_only and options.pyramid:
        raise ValueError("--tiles-only leaves out the whole image, and --pyramid gives its scales; give one of them")
    if options.tile_overlap != PyramidOptions.tile_overlap and not options.tiles:
        raise ValueError("--tile-overlap needs tiles; give their side with --tiles, such as --tiles 640")


def with_trained_tiles(options: Views, model: str | Path) -> Views:
    """Return the options with the tiles that the detector was trained on, unless flags give views."""
    if options.wants_pyramid:
        return options
    from detkit.inference.sources import trained_tiles

    tiles = trained_tiles(model)
    if tiles is None:
        return options
    return replace(options, tiles=(tiles.size,), tile_overlap=tiles.overlap, tiles_only=not tiles.whole)


def with_pyramid(predictor: P, options: PyramidOptions, min_score: MinScore = 0.0) -> P | ImagePyramid[Any]:
    """Return the requested pyramid of a predictor after printing it, or the predictor itself without such flags.

    Raises:
        ValueError: If a flag does not suit the model.
    """
    if not options.wants_pyramid:
        return predictor
    from detkit.inference import ImagePyramid

    if options.merge and cast("BasePredictor[Any, Any]", predictor).runtime.info.segments:
        raise ValueError("--merge is about boxes, and the model predicts the class of each pixel; leave it out, probabilities are averaged")
    whole = () if options.tiles_only else options.pyramid or (1,)
    limit: dict[str, Any] = {} if options.max_detections is None else {"max_detections": options.max_detections}
    pyramid = ImagePyramid(
        cast("BasePredictor[Any, Any]", predictor),
        whole,
        tiles=options.tiles,
        tile_overlap=options.tile_overlap,
        sizes=options.sizes or None,
        flip=options.flip,
        merge=options.merge or "hard",
        min_score=min_score,
        **limit,
    )
    print(f"{'tiles' if options.tiles else 'pyramid'}: {pyramid}")
    return pyramid
