"""Tiles of large images: the objects that a tile shows, and tiles drawn at random in training, of which nothing is written."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field
from torch import Tensor

from detkit.arrays import Doubles, Flags
from detkit.checkpoint.trained_tiles import TrainedTiles
from detkit.config import Config
from detkit.data.records import DetectionData, ImageRecord, Records
from detkit.ops.windows import Window, boxes_in_window, cover, is_visible, windows_per_side
from detkit.structures import Targets


class TileConfig(Config):
    """Training on tiles of large images, drawn at random in each step; validation and detection then use tiles of this size too."""

    shorthand: ClassVar[str | None] = "size"

    size: int = Field(640, ge=32, le=16_384)
    """Side of a tile in pixels of the image, usually the model's input size; images that are not larger stay whole."""
    overlap: float = Field(0.2, ge=0, lt=1)
    """Overlap of neighboring tiles in validation and detection, as a fraction of a tile's side. An epoch has as many tiles of each image
    as cover it with this overlap."""
    with_objects: float = Field(0.7, ge=0, le=1)
    """Smallest fraction of tiles that show an object, as most parts of aerial images show none; 0: as the tiles come."""
    whole: float = Field(0.1, ge=0, lt=1)
    """Fraction of the samples of larger images that are the whole image, for objects that no tile shows."""
    min_visibility: float = Field(0.3, gt=0, le=1)
    """Smallest fraction of an object's area that a tile must show to learn it; of less, the tile's part is an ignore region."""

    @property
    def trained(self) -> TrainedTiles:
        """The tiles on which a detector that is trained so is validated and used."""
        return TrainedTiles(self.size, self.overlap, self.whole > 0)


def _tiles(value: Any) -> Any:
    return {"size": value} if isinstance(value, int) and not isinstance(value, bool) else value


Tiles = Annotated[TileConfig, BeforeValidator(_tiles)]
"""A field for a :class:`TileConfig` that also accepts the side of a tile."""


class TileTargets(NamedTuple):
    """The objects of a tile.

    Attributes:
        targets: Those that it shows, in pixels from its corner, and ignore regions for those of which it shows too little.
        shown: ``(N,)`` bool, which boxes of the image it shows.
        partial: ``(N,)`` bool, of which boxes of the image it shows too little.
    """

    targets: Targets
    shown: Tensor
    partial: Tensor


def targets_of_tile(targets: Targets, window: Window, min_visibility: float, *, keeps_partial: bool = True) -> TileTargets:
    """Return the objects of a window of an image.

    Args:
        targets: The objects of the image.
        window: The window.
        min_visibility: Smallest fraction of an object's area that the window must show.
        keeps_partial: Whether other objects that reach into the window become ignore regions; otherwise they are dropped.
    """
    inside = boxes_in_window(targets.boxes, window)
    shown = is_visible(inside.visible, min_visibility)
    partial = (inside.visible > 0) & ~shown & ~targets.is_crowd
    kept = is_visible(inside.visible, min_visibility, targets.is_crowd)
    kept = kept | partial if keeps_partial else kept
    rows = targets.replace(is_crowd=targets.is_crowd | partial).moved(inside.boxes, inside.visible)[kept]
    return TileTargets(rows, shown, partial)


def as_tiles(data: DetectionData, config: TileConfig) -> DetectionData:
    """Return the tiles that cover the images, each as an image with the objects that it shows, for statistics; no pixels are read."""
    records = [tile for record in data.records for tile in _tiles_of(record, config)]
    return replace(data, name=f"{data.name}, in tiles of {config.size} pixels", records=Records.of(records), coco_file=None)


def _tiles_of(record: ImageRecord, config: TileConfig) -> list[ImageRecord]:
    height, width = record.size
    if max(height, width) <= config.size:
        return [record]
    tiles = []
    for window in cover(record.size, (min(config.size, height), min(config.size, width)), config.overlap):
        targets = targets_of_tile(record.targets, window, config.min_visibility, keeps_partial=False).targets
        tiles.append(ImageRecord(record.path, f"{record.image_id}_{window.x1}_{window.y1}", window.size, targets, window))
    return tiles


class TileSampler:
    """Draws tiles of the images of a data set.

    The center of a tile is anywhere in the image, and the tile is then moved inside, so that the borders of an image are drawn about as
    often as the rest. Some tiles are drawn around a random object instead.

    Args:
        records: The images.
        config: The settings.
        is_labeled: ``(M,)`` bool, which images are labeled; None: all.

    Attributes:
        config: The settings.
        counts: ``(M,)`` number of tiles that cover each image; 1 for images that are not larger than a tile.
        repeats: ``(M,)`` average number of tiles of each image in an epoch: ``counts``, or fewer of images without objects where
            otherwise too few tiles would show an object.
        around_object: Fraction of the tiles of an image with objects that are drawn around one.
        fitting: ``(N,)`` bool, objects of which a tile can show enough.
    """

    def __init__(self, records: Records, config: TileConfig, is_labeled: Flags | None = None) -> None:
        self.config, self._records = config, records
        self.counts = _counts(records.sizes, config)
        self.fitting = _fitting(records.boxes, config) & ~records.is_crowd
        has_objects = np.bincount(records.image_index[self.fitting], minlength=len(records)) > 0
        known = np.ones(len(records), np.bool_) if is_labeled is None else is_labeled
        filled, empty = (float(self.counts[known & flags].sum()) for flags in (has_objects, ~has_objects))
        needed = config.with_objects * (filled + empty)
        self.around_object = min(1.0, needed / max(filled, 1.0))
        self.repeats = self.counts.astype(np.float64)
        if needed > filled > 0:
            self.repeats[known & ~has_objects] *= filled * (1 - config.with_objects) / (config.with_objects * empty)
        self._ends = np.cumsum(self.repeats)

    def draw(self, index: int, random_numbers: np.random.Generator) -> Window | None:
        """Draw a tile of an image; None if the sample is the whole image."""
        height, width = self._records.sizes[index].tolist()
        side = self.config.size
        if max(height, width) <= side or random_numbers.random() < self.config.whole:
            return None
        box = self._object(index, random_numbers)
        x1 = _start(width, side, None if box is None else (float(box[0]), float(box[2])), random_numbers)
        y1 = _start(height, side, None if box is None else (float(box[1]), float(box[3])), random_numbers)
        return Window(x1, y1, x1 + min(side, width), y1 + min(side, height))

    def draw_image(self, random_numbers: np.random.Generator, allowed: NDArray[np.int64] | None = None) -> int:
        """Draw the index of an image, of all or of ``allowed`` ones, in proportion to its number of tiles in an epoch."""
        ends = self._ends if allowed is None else np.cumsum(self.repeats[allowed])
        row = min(int(np.searchsorted(ends, random_numbers.random() * ends[-1], side="right")), len(ends) - 1)
        return row if allowed is None else int(allowed[row])

    def describe(self) -> str:
        """Return a line about the tiles of an epoch, for the log."""
        larger = int((self._records.sizes.max(1) > self.config.size).sum())
        unseen = int((~self.fitting & ~self._records.is_crowd).sum())
        line = (
            f"tiles of {self.config.size} pixels: {larger:,} of {len(self._records):,} images are larger; "
            f"{round(self.repeats.sum()):,} samples per epoch, at least {100 * self.config.with_objects:g} % with objects"
        )
        return f"{line}; {unseen:,} objects are larger than a tile shows" if unseen else line

    def _object(self, index: int, random_numbers: np.random.Generator) -> NDArray[np.float32] | None:
        """Draw an object of an image that a tile can show; None if it has none, or the tile is drawn anywhere."""
        rows = slice(*self._records.offsets[index : index + 2])
        boxes = self._records.boxes[rows][self.fitting[rows]]
        if not len(boxes) or random_numbers.random() >= self.around_object:
            return None
        box: NDArray[np.float32] = boxes[int(random_numbers.integers(len(boxes)))]
        return box


def _counts(sizes: NDArray[np.int64], config: TileConfig) -> NDArray[np.int64]:
    unique, inverse = np.unique(sizes, axis=0, return_inverse=True)
    counts = [math.prod(windows_per_side(side / config.size, config.overlap) for side in size) for size in unique.tolist()]
    return np.array(counts, np.int64)[inverse.reshape(-1)]


def _fitting(boxes: NDArray[np.float32], config: TileConfig) -> Flags:
    """Return of which boxes ``(N, 4)`` a tile can show enough."""
    sides: Doubles = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9).astype(np.float64)
    fitting: Flags = np.minimum(1, config.size / sides).prod(1) >= config.min_visibility
    return fitting


def _start(length: int, side: int, span: tuple[float, float] | None, random_numbers: np.random.Generator) -> int:
    """Draw the start of a tile along a side of an image; with the span of an object, so that the tile shows as much of it as it can."""
    last = max(0, length - side)
    if span is None:
        return min(max(0, int(random_numbers.integers(length)) - side // 2), last)
    ends = sorted((span[1] - side, span[0]))
    low, high = (min(max(0, end), last) for end in (math.ceil(ends[0]), math.floor(ends[1])))
    return int(random_numbers.integers(low, max(low, high) + 1))
