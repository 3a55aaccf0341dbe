"""The largest image that is decoded: a few kilobytes of a broken or hostile file can ask for gigabytes."""

from __future__ import annotations

import os

from detkit.arrays import Size

MAX_PIXELS = 178_956_970
"""Height times width, as Pillow has it: a quarter of a gigabyte of gray, three times that in color."""

STREAMED = 16
"""Factor on the limit for images that are read in parts, and never whole."""

VARIABLE = "DETKIT_MAX_PIXELS"
"""Environment variable with another limit; worker processes inherit it."""


class TooManyPixelsError(ValueError):
    """An image is larger than the limit; the message names it and what to do."""


def max_pixels() -> int:
    """Return the limit, from the environment if it is set there.

    Raises:
        ValueError: If the variable is not a positive number.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return MAX_PIXELS
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError(f"{VARIABLE}: expected a number of pixels above 0, got {text!r}")
    return int(text)


def set_max_pixels(limit: int) -> None:
    """Set another limit for this process and the processes that it starts.

    Raises:
        ValueError: If it is not positive.
    """
    if limit < 1:
        raise ValueError(f"max_pixels: expected a number of pixels above 0, got {limit}")
    os.environ[VARIABLE] = str(limit)


def check_pixels(size: Size, name: str) -> None:
    """Check that an image of ``(height, width)`` is within the limit.

    Raises:
        TooManyPixelsError: If it is not.
    """
    if size[0] * size[1] > max_pixels():
        got = f"{size[1]:,} x {size[0]:,}, of at most {max_pixels():,}"
        raise TooManyPixelsError(f"{name}: the image has too many pixels to be read whole ({got}); {advice(size[0] * size[1])}")


def check_streamed_pixels(size: Size, name: str) -> None:
    """Check that an image of ``(height, width)``, which is read in parts, is within ``STREAMED`` times the limit.

    Raises:
        TooManyPixelsError: If it is not.
    """
    most = STREAMED * max_pixels()
    if size[0] * size[1] > most:
        got = f"{size[1]:,} x {size[0]:,}, of at most {most:,} for tiles"
        raise TooManyPixelsError(
            f"{name}: the image has too many pixels ({got}); raise the limit with --max-pixels {-(-size[0] * size[1] // STREAMED)} "
            f"(in Python: {VARIABLE} in the environment)"
        )


def advice(pixels: int | str = "N") -> str:
    """Return what to do about an image with too many pixels."""
    raised = f"raise the limit with --max-pixels {pixels} (in Python: {VARIABLE}={pixels} in the environment)"
    return f"detect on tiles, such as --tiles 640, which reads a TIFF in parts, or {raised}"
