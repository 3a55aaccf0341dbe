"""The ends of image files, by which truncated ones are recognized without decoding them."""

from __future__ import annotations

import os
from typing import IO

_JPEG_END, _JPEG_SCAN = b"\xff\xd9", b"\xff\xda"
_MARKERS = {"JPEG": _JPEG_END, "MPO": _JPEG_END, "PNG": b"IEND\xaeB`\x82"}
"""Last bytes of the image in a file of each of Pillow's formats."""
_TAIL = 64
"""Bytes at the end of a file in which the marker of a whole file is expected; some cameras append a few."""


def seems_whole(file: IO[bytes], kind: str | None) -> bool:
    """Return whether a file of one of Pillow's formats ends as it should; if not, only its decoder can say whether it is whole."""
    size = file.seek(0, os.SEEK_END)
    if kind == "WEBP":
        file.seek(4)
        return int.from_bytes(file.read(4), "little") + 8 <= size
    file.seek(max(size - _TAIL, 0))
    return kind not in _MARKERS or _MARKERS[kind] in file.read(_TAIL)


def check_jpeg_end(data: bytes, name: str) -> None:
    """Raise an error for a truncated JPEG, which the decoders would silently fill with gray.

    An end marker cannot occur within the compressed pixels, where 0xFF is always followed by zero or a restart marker.
    It can occur before them, in an embedded thumbnail; so if the file does not end with one, the last scan is searched.

    Raises:
        ValueError: If the data ends before the image does.
    """
    if _JPEG_END not in data[-_TAIL:] and data.find(_JPEG_END, max(data.rfind(_JPEG_SCAN), 0)) < 0:
        raise ValueError(f"{name}: the JPEG is truncated after {len(data)} bytes; download or export the file again")
