"""The directory of a TIFF: where its strips or tiles are, and files of some of them only."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, NamedTuple

from detkit.arrays import Size

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION, _SAMPLES, _ROWS, _PLANES = 256, 257, 258, 259, 274, 277, 278, 284
_STRIPS, _STRIP_LENGTHS, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_LENGTHS = 273, 279, 322, 323, 324, 325
_KEPT = frozenset({_BITS, _COMPRESSION, 262, 266, _SAMPLES, _PLANES, 292, 293, 317, 320, 332, 338, 339, 340, 341, 347, 529, 530, 532})
"""Tags that say how stored values are decoded: colors, compression and its tables."""
_FORMATS = "B", "B", "H", "I", "II", "b", "B", "h", "i", "ii", "f", "d", "I", "Q", "q", "Q"
_TYPES = dict(zip((*range(1, 14), 16, 17, 18), _FORMATS, strict=True))
"""Type of a tag to its format in a struct."""
_LONG = 4
_NO_COMPRESSION, _OLD_JPEG = 1, 6
_MAX_TAGS, _MAX_VALUES = 4096, 1 << 26
"""Most tags of a directory, and bytes of one tag; damaged files state more."""
_MAX_STRIP_ROWS = 64
"""Rows of an uncompressed strip that are read at a time."""


class _Tag(NamedTuple):
    """Type, number of values, and stored bytes of a tag."""

    kind: int
    number: int
    data: bytes


@dataclass(frozen=True)
class TiffLayout:
    """Where the pixels of the first image of a TIFF are.

    Attributes:
        size: ``(height, width)`` as stored.
        block: ``(height, width)`` of a block, which is a strip or a tile; those at the end can be smaller.
        orientation: EXIF orientation, 1 to 8.
        order: Byte order, ``<`` or ``>``.
        is_tiled: Whether blocks are tiles.
        planes: Number of planes that are stored one after another.
        offsets: Offset of each block in the file, row by row, plane by plane.
        lengths: Number of bytes of each block.
        tags: Tags that say how values are decoded.
    """

    size: Size
    block: Size
    orientation: int
    order: str
    is_tiled: bool
    planes: int
    offsets: tuple[int, ...]
    lengths: tuple[int, ...]
    tags: dict[int, _Tag]

    @property
    def grid(self) -> Size:
        """Number of blocks below one another and side by side."""
        return -(-self.size[0] // self.block[0]), -(-self.size[1] // self.block[1])

    def file_of(self, file: IO[bytes], row: int, rows: int, column: int) -> bytes:
        """Return a TIFF of blocks of the file below one another, whose image is upright as stored.

        Args:
            file: The file.
            row: Row of the first block.
            rows: Number of blocks; 1 for tiles.
            column: Column of the blocks.
        """
        per_plane = self.grid[0] * self.grid[1]
        indices = [plane * per_plane + (row + step) * self.grid[1] + column for plane in range(self.planes) for step in range(rows)]
        blocks = [_read(file, self.offsets[index], self.lengths[index]) for index in indices]
        height = self.block[0] if self.is_tiled else min(rows * self.block[0], self.size[0] - row * self.block[0])
        return self._encode(blocks, (height, self.block[1]))

    def _encode(self, blocks: Sequence[bytes], size: Size) -> bytes:
        numbers = {_WIDTH: [size[1]], _HEIGHT: [size[0]]}
        numbers |= {_TILE_WIDTH: [self.block[1]], _TILE_HEIGHT: [self.block[0]]} if self.is_tiled else {_ROWS: [self.block[0]]}
        offsets, lengths = (_TILES, _TILE_LENGTHS) if self.is_tiled else (_STRIPS, _STRIP_LENGTHS)
        numbers |= {offsets: [0] * len(blocks), lengths: [len(block) for block in blocks]}
        tags = dict(self.tags) | {code: self._longs(values) for code, values in numbers.items()}
        start = 8 + 2 + 12 * len(tags) + 4
        values_end = start + sum(len(tag.data) + len(tag.data) % 2 for tag in tags.values() if len(tag.data) > 4)
        positions = [values_end + sum(map(len, blocks[:index])) for index in range(len(blocks))]
        tags[offsets] = self._longs(positions)
        entries, values = b"", b""
        for code, tag in sorted(tags.items()):
            inline = len(tag.data) <= 4
            place = tag.data.ljust(4, b"\0") if inline else struct.pack(f"{self.order}I", start + len(values))
            values += b"" if inline else tag.data + b"\0" * (len(tag.data) % 2)
            entries += struct.pack(f"{self.order}HHI", code, tag.kind, tag.number) + place
        head = (b"II" if self.order == "<" else b"MM") + struct.pack(f"{self.order}HI", 42, 8)
        directory = struct.pack(f"{self.order}H", len(tags)) + entries + struct.pack(f"{self.order}I", 0)
        return b"".join((head, directory, values, *blocks))

    def _longs(self, values: Sequence[int]) -> _Tag:
        return _Tag(_LONG, len(values), struct.pack(f"{self.order}{len(values)}I", *values))


def read_layout(file: IO[bytes]) -> TiffLayout | None:
    """Return the layout of the first image of a TIFF; None if it is no TIFF, damaged, or cannot be read in parts."""
    try:
        tags, order = _read_tags(file)
        return _layout(tags, order)
    except (ValueError, KeyError, struct.error, ZeroDivisionError, OverflowError):
        return None


def _layout(tags: dict[int, _Tag], order: str) -> TiffLayout | None:
    def numbers(code: int, default: int | None = None) -> tuple[int, ...]:
        if code not in tags and default is not None:
            return (default,)
        tag = tags[code]
        return struct.unpack(f"{order}{tag.number}{_TYPES[tag.kind]}", tag.data)

    height, width = numbers(_HEIGHT)[0], numbers(_WIDTH)[0]
    compression, orientation = numbers(_COMPRESSION, _NO_COMPRESSION)[0], numbers(_ORIENTATION, 1)[0]
    planes = numbers(_SAMPLES, 1)[0] if numbers(_PLANES, 1)[0] == 2 else 1
    is_tiled = _TILES in tags
    block = (numbers(_TILE_HEIGHT)[0], numbers(_TILE_WIDTH)[0]) if is_tiled else (min(numbers(_ROWS, height)[0], height), width)
    offsets, lengths = (numbers(code) for code in ((_TILES, _TILE_LENGTHS) if is_tiled else (_STRIPS, _STRIP_LENGTHS)))
    kept = {code: tag for code, tag in tags.items() if code in _KEPT}
    place = orientation if 1 <= orientation <= 8 else 1
    layout = TiffLayout((height, width), block, place, order, is_tiled, planes, offsets, lengths, kept)
    count = math.prod(layout.grid) * planes
    if compression == _OLD_JPEG or min(height, width, *block) < 1 or not len(offsets) == len(lengths) == count:
        return None
    return _with_short_strips(layout, numbers(_BITS, 1)) if compression == _NO_COMPRESSION and not is_tiled else layout


def _with_short_strips(layout: TiffLayout, bits: tuple[int, ...]) -> TiffLayout:
    """Return the layout with uncompressed strips divided into strips of few rows."""
    if layout.block[0] <= _MAX_STRIP_ROWS:
        return layout
    row_bytes = -(-layout.size[1] * (bits[0] if layout.planes > 1 else sum(bits)) // 8)
    rows, per_plane = layout.block[0], layout.grid[0]
    if rows % _MAX_STRIP_ROWS and per_plane > 1:
        short = max(step for step in range(1, _MAX_STRIP_ROWS + 1) if rows % step == 0)
    else:
        short = _MAX_STRIP_ROWS
    offsets, lengths = [], []
    for index, (offset, length) in enumerate(zip(layout.offsets, layout.lengths, strict=True)):
        own = min(rows, layout.size[0] - index % per_plane * rows)
        if length < own * row_bytes:
            return layout  # truncated, or with more samples than it states
        for start in range(0, own, short):
            offsets.append(offset + start * row_bytes)
            lengths.append(min(short, own - start) * row_bytes)
    return replace(layout, block=(short, layout.block[1]), offsets=tuple(offsets), lengths=tuple(lengths))


def _read_tags(file: IO[bytes]) -> tuple[dict[int, _Tag], str]:
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    version = struct.unpack(f"{order}H", head[2:4])[0]
    big = {42: False, 43: True}[version]
    file.seek(struct.unpack(f"{order}Q", head[8:16])[0] if big else struct.unpack(f"{order}I", head[4:8])[0])
    count = struct.unpack(f"{order}{'Q' if big else 'H'}", file.read(8 if big else 2))[0]
    if count > _MAX_TAGS:
        raise ValueError
    entry, inline = (20, 8) if big else (12, 4)
    directory = file.read(count * entry)
    tags: dict[int, Any] = {}
    for index in range(count):
        row = directory[index * entry : (index + 1) * entry]
        code, kind, number = struct.unpack(f"{order}HH{'Q' if big else 'I'}", row[: entry - inline])
        size = number * struct.calcsize(f"{order}{_TYPES.get(kind, 'B')}")
        if size > _MAX_VALUES:
            raise ValueError
        data = row[entry - inline :][:size]
        if size > inline:
            data = _read(file, struct.unpack(f"{order}{'Q' if big else 'I'}", row[entry - inline :])[0], size)
        if len(data) == size:
            tags.setdefault(code, _Tag(kind, number, data))
    return tags, order


def _read(file: IO[bytes], offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)
