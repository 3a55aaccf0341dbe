"""Decoding of images from requests: the header is checked before any pixel is decoded."""

from __future__ import annotations

import io
from functools import cache

from PIL import Image, UnidentifiedImageError

from detkit.arrays import ImageArray
from detkit.data.media.images import decode_image, open_header
from detkit.data.media.limits import TooManyPixelsError, max_pixels
from detkit.data.media.signatures import describe_bytes
from detkit.data.media.tiff import is_tiff
from detkit.serve.errors import Problem

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF")
"""Pillow's names of the formats that are decoded; others, such as PostScript, start programs or are not images of cameras."""


@cache
def formats() -> tuple[str, ...]:
    """Return those of the formats that this build of Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def check_header(data: bytes, label: str) -> int | Problem:
    """Return the number of pixels of an image, from its header, or why it cannot be decoded.

    Args:
        data: Bytes of the file.
        label: Name of the image in messages.
    """
    if not data:
        return _unreadable(f"{label}: the file is empty (0 bytes)")
    try:
        with open_header(io.BytesIO(data), formats()) as header:
            pixels = header.width * header.height
    except UnidentifiedImageError:
        if is_tiff(data):  # of a kind that only the reader itself understands
            return max_pixels()
        return _unreadable(f"{label}: not a readable image: {describe_bytes(data)}")
    except Image.DecompressionBombError:
        return _too_many_pixels(label)
    except Exception as error:  # Pillow's plugins raise many kinds on damaged headers
        return _unreadable(f"{label}: the image is damaged ({type(error).__name__})")
    return pixels if pixels <= max_pixels() else _too_many_pixels(label)


def decode(data: bytes, label: str) -> ImageArray | Problem:
    """Return the pixels of an image whose header was checked, ``(H, W, 3)`` uint8 RGB, or why it cannot be decoded.

    Args:
        data: Bytes of the file.
        label: Name of the image in messages.
    """
    try:
        return decode_image(data, label)
    except TooManyPixelsError:
        return _too_many_pixels(label)
    except ValueError as error:
        return _unreadable(str(error))
    except MemoryError:
        return Problem(503, "overloaded", f"{label}: the server has no memory left to decode it")


def _unreadable(message: str) -> Problem:
    return Problem(422, "invalid_image", message, "a JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF, PPM or JPEG 2000 file")


def _too_many_pixels(label: str) -> Problem:
    return Problem(413, "too_many_pixels", f"{label}: the image has too many pixels", f"width x height of at most {max_pixels():,}")
