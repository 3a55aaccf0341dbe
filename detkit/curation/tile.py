"""Cut large images into overlapping tiles, each an image of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

import torch
from torch import Tensor

from detkit.arrays import Size
from detkit.curation.outlines import clip_segmentations
from detkit.curation.parts import LabeledParts, Part
from detkit.data import DetectionData, ImageRecord, Records
from detkit.data.splits import hash_order
from detkit.data.tiles import targets_of_tile
from detkit.ops.windows import Window, cover
from detkit.structures import Targets

Partial = Literal["ignore", "drop"]
"""``ignore``: a box of which a tile shows too little becomes an ignore region; ``drop``: it is dropped, and its rest is background."""


@dataclass(frozen=True, kw_only=True)
class TileOptions:
    """How images are cut.

    Attributes:
        size: ``(height, width)`` of a tile; smaller images stay whole.
        overlap: Smallest overlap of neighbors, as a fraction of a tile's side.
        min_visibility: Smallest fraction of a box's area that a tile must show for the box to be an object of the tile.
        partial: What becomes of other boxes that reach into a tile.
        empty: Fraction of the tiles without objects that is kept: 1 all, 0 none.
        extension: Extension of the tiles' names; None: that of the image.
        seed: Seed of the choice among tiles without objects.
    """

    size: Size
    overlap: float = 0.2
    min_visibility: float = 0.3
    partial: Partial = "ignore"
    empty: float = 1.0
    extension: str | None = ".png"
    seed: int = 0


@dataclass(frozen=True)
class Tiled:
    """A data set of tiles.

    Attributes:
        data: The tiles: records with a window of their file; images that are not larger than a tile are whole files.
        counts: Numbers of what happened, by description, in the order of the report; only those above 0.
    """

    data: LabeledParts
    counts: Mapping[str, int]


WHOLE_IMAGES, CUT_IMAGES = "images not larger than a tile, kept whole", "images cut"
EMPTY_TILES = "tiles without objects left out"
PARTIAL_BOXES = "boxes of which a tile shows too little, in that tile"
UNSEEN_BOXES = "boxes of which no tile shows enough, such as objects larger than a tile"


def tile_parts(data: LabeledParts, options: TileOptions) -> Tiled:
    """Cut the images of all parts into tiles that cover them evenly; pixels are not read.

    Raises:
        ValueError: If a number is out of range, or no tile is left.
    """
    _check(options)
    counts = Counter[str]({WHOLE_IMAGES: 0, CUT_IMAGES: 0, EMPTY_TILES: 0, PARTIAL_BOXES: 0, UNSEEN_BOXES: 0})
    parts = {name: _tiled(part, options, counts) for name, part in data}
    kept = {name: part for name, part in parts.items() if len(part)}
    if not kept:
        raise ValueError(f"{data.name}: no tile has an object; keep tiles without objects, or lower the smallest visibility")
    return Tiled(replace(data, parts=kept), {text: count for text, count in counts.items() if count})


def _check(options: TileOptions) -> None:
    if min(options.size) < 1:
        raise ValueError(f"tile: size: expected 1 pixel or more, got {options.size[1]} x {options.size[0]}")
    for name, value, below in (("overlap", options.overlap, True), ("min_visibility", options.min_visibility, False)):
        if not 0 <= value <= 1 or (below and value == 1):
            raise ValueError(f"tile: {name}: expected a number from 0 to {'below ' * below}1, got {value:g}")


@dataclass(frozen=True, eq=False)
class _Tile:
    record: ImageRecord
    name: str


def _tiled(part: Part, options: TileOptions, counts: Counter[str]) -> Part:
    stems = Counter(_stem(name) for name in part.names)
    tiles = [
        tile
        for record, name in zip(part.data.records, part.names, strict=True)
        for tile in _tiles(record, name, options, counts, keep_suffix=stems[_stem(name)] > 1)
    ]
    tiles = _without_empty(tiles, options, counts)
    return _part(part.data, tiles)


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _part(data: DetectionData, tiles: list[_Tile]) -> Part:
    records = Records.of(tile.record for tile in tiles) if tiles else data.records.take(())
    return Part(replace(data, records=records, coco_file=None), tuple(tile.name for tile in tiles))


def _tiles(record: ImageRecord, name: str, options: TileOptions, counts: Counter[str], *, keep_suffix: bool) -> Iterator[_Tile]:
    """Yield the tiles of an image, row by row."""
    height, width = record.size
    if height <= options.size[0] and width <= options.size[1]:
        counts[WHOLE_IMAGES] += 1
        yield _Tile(record, name)
        return
    counts[CUT_IMAGES] += 1
    seen = torch.zeros(len(record.targets), dtype=torch.bool)
    stem = name if keep_suffix else _stem(name)
    suffix = PurePosixPath(name).suffix if options.extension is None else options.extension
    x, y = (0, 0) if record.window is None else record.window[:2]
    for x1, y1, x2, y2 in cover(record.size, options.size, options.overlap):
        window = Window(x1, y1, min(x2, width), min(y2, height))
        try:
            targets, shown = _targets(record.targets, record.size, window, options, counts)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        seen |= shown
        outer = Window(window.x1 + x, window.y1 + y, window.x2 + x, window.y2 + y)
        image_id = f"{record.image_id}_{x1}_{y1}"
        yield _Tile(ImageRecord(record.path, image_id, window.size, targets, outer), f"{stem}_{x1}_{y1}{suffix}")
    counts[UNSEEN_BOXES] += int((~seen & ~record.targets.is_crowd).sum())


def _targets(targets: Targets, size: Size, window: Window, options: TileOptions, counts: Counter[str]) -> tuple[Targets, Tensor]:
    """Return the objects of a tile of an image of ``size``, and which boxes of the image it shows well enough, shape ``(N,)``.

    The box of an object with an outline or a mask is the one around what the tile shows of it; an object of which it shows nothing is
    left out.
    """
    rows, shown, partial = targets_of_tile(targets, window, options.min_visibility, keeps_partial=options.partial == "ignore")
    counts[PARTIAL_BOXES] += int(partial.sum())
    if rows.segmentations is None:
        return rows, shown
    clipped = clip_segmentations(rows.segmentations, size, window)
    present, before = torch.from_numpy(clipped.values.present), torch.from_numpy(rows.segmentations.present)
    boxes = torch.where((present & ~rows.is_crowd)[:, None], torch.from_numpy(clipped.boxes), rows.boxes)
    fitted = rows.replace(boxes=boxes, segmentations=clipped.values)
    return fitted[present | ~before | rows.is_crowd], shown


def _without_empty(tiles: list[_Tile], options: TileOptions, counts: Counter[str]) -> list[_Tile]:
    """Leave out tiles without objects; those that stay are chosen by a hash of their ids, the same ones on every machine."""
    empty = [index for index, tile in enumerate(tiles) if not bool((~tile.record.targets.is_crowd).any())]
    order = hash_order([tiles[index].record.image_id for index in empty], options.seed)
    dropped = {empty[index] for index in order[round(options.empty * len(empty)) :]}
    counts[EMPTY_TILES] += len(dropped)
    return [tile for index, tile in enumerate(tiles) if index not in dropped]
