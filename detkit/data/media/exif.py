"""The eight EXIF orientations, applied to pixels and to boxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from detkit.structures import Size

_ORIENTATION_TAG = 0x0112

_UNREADABLE = Exception
"""What Pillow raises on broken EXIF data: struct.error, RuntimeError and others, which no list holds for long."""

_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_ORIENTATION_KEYWORDS = (b"Raw profile type exif", b"XML:com.adobe.xmp", b"exif", b"xmp")
"""Keywords of a PNG's text chunks in which Pillow looks for the orientation."""

_LONGEST_KEYWORD = 79
"""Bytes, by the PNG specification, section 11.3.3."""


def exif_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an image, 1 (upright as stored) to 8; an unreadable one counts as 1."""
    try:
        return _valid_orientation(image.getexif())
    except _UNREADABLE:
        return 1


def header_orientation(header: Image.Image) -> int:
    """Return :func:`exif_orientation` of an image that was opened but not loaded, without decoding its pixels.

    Pillow decodes a PNG to read its EXIF data, because that may follow the pixels. Here a PNG is decoded only if it does.
    """
    if not isinstance(header, PngImageFile):
        return exif_orientation(header)
    try:
        if _has_late_orientation(header):
            header.load()
        return _valid_orientation(Image.Image.getexif(header))
    except _UNREADABLE:
        return 1


def _valid_orientation(exif: Image.Exif) -> int:
    value = exif.get(_ORIENTATION_TAG, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _has_late_orientation(header: PngImageFile) -> bool:
    """Return whether a chunk after the first pixel chunk may contain an orientation; only chunk headers are read."""
    file = header.fp
    assert file is not None
    position = file.tell()
    try:
        return any(chunk == b"eXIf" or keyword in _ORIENTATION_KEYWORDS for chunk, keyword in _late_chunks(file))
    finally:
        file.seek(position)


def _late_chunks(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type of each PNG chunk after the first ``IDAT``, and the keyword of text chunks."""
    start, after_pixels = 8, False
    file.seek(start)
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        chunk = head[4:]
        if after_pixels:
            yield chunk, file.read(_LONGEST_KEYWORD + 1).partition(b"\0")[0] if chunk in _TEXT_CHUNKS else b""
        after_pixels = after_pixels or chunk == b"IDAT"
        start += 12 + int.from_bytes(head[:4], "big")  # length, type and checksum take four bytes each
        file.seek(start)


def apply_orientation(image: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Rotate stored pixels ``(H, W, C)`` upright; the result is contiguous. From 5 on, height and width are swapped."""
    if orientation == 1:
        return image
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def orient_boxes(boxes: npt.NDArray[np.float64], orientation: int, size: Size) -> npt.NDArray[np.float64]:
    """Transform ``(N, 4)`` boxes on a stored image of ``size`` (height, width) as :func:`apply_orientation` does its pixels."""
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
