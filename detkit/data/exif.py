"""The eight EXIF orientations: what they do to pixels and to boxes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from detkit.structures import Size

_ORIENTATION_TAG = 0x0112

_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, OSError, SyntaxError, struct.error)
"""What Pillow raises on broken EXIF."""

_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_TELLING_TEXTS = (b"Raw profile type exif", b"XML:com.adobe.xmp", b"exif", b"xmp")
"""Keywords of a PNG's texts in which Pillow looks for the orientation."""

_LONGEST_KEYWORD = 79
"""Bytes, by the PNG specification, section 11.3.3."""


def stored_orientation(image: Image.Image) -> int:
    """The orientation a image file asks for, 1 (upright as stored) to 8; anything unreadable counts as 1."""
    try:
        return _known(image.getexif())
    except _UNREADABLE:
        return 1


def header_orientation(header: Image.Image) -> int:
    """:func:`stored_orientation` of a image that was opened and not loaded; its pixels are not decoded.

    Pillow decodes a PNG to ask for its EXIF, because that may lie behind the pixels. Here only a PNG in which it does is decoded.
    """
    if not isinstance(header, PngImageFile):
        return stored_orientation(header)
    try:
        if _tells_behind_pixels(header):
            header.load()
        return _known(Image.Image.getexif(header))
    except _UNREADABLE:
        return 1


def _known(exif: Image.Exif) -> int:
    value = exif.get(_ORIENTATION_TAG, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _tells_behind_pixels(header: PngImageFile) -> bool:
    """Whether a chunk after the first of the pixels may name an orientation; only the heads of the chunks are read."""
    file = header.fp
    assert file is not None
    place = file.tell()
    try:
        return any(chunk == b"eXIf" or keyword in _TELLING_TEXTS for chunk, keyword in _behind_pixels(file))
    finally:
        file.seek(place)


def _behind_pixels(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The type of each chunk of a PNG after the first ``IDAT``, and the keyword of each text."""
    start, behind = 8, False
    file.seek(start)
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        chunk = head[4:]
        if behind:
            yield chunk, file.read(_LONGEST_KEYWORD + 1).partition(b"\0")[0] if chunk in _TEXT_CHUNKS else b""
        behind = behind or chunk == b"IDAT"
        start += 12 + int.from_bytes(head[:4], "big")  # length, type and check sum take four bytes each
        file.seek(start)


def turn(image: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """``(H, W, C)`` pixels as stored, turned upright; contiguous. From 5 on, height and width change places."""
    if orientation == 1:
        return image
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def turn_boxes(boxes: npt.NDArray[np.float64], orientation: int, size: Size) -> npt.NDArray[np.float64]:
    """``(N, 4)`` boxes on a image as stored, of ``size`` (height, width), moved to where :func:`turn` puts the same pixels."""
    x1, y1, x2, y2 = boxes.T
    height, width = size
    if orientation >= 5:
        x1, y1, x2, y2 = y1, x1, y2, x2
        height, width = width, height
    if orientation in (2, 3, 6, 7):
        x1, x2 = width - x2, width - x1
    if orientation in (3, 4, 7, 8):
        y1, y2 = height - y2, height - y1
    return np.stack([x1, y1, x2, y2], axis=1)
