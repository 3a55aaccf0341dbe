"""Values of flags: functions that parse what was typed, used as ``type=``."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

MIN_TILE = 32
"""Shortest side of a tile in pixels."""


def parse_number(text: str, accepts: Callable[[float], bool], expected: str) -> float:
    """Parse a number that a condition accepts, for functions that are used as ``type=``.

    Args:
        text: As typed.
        accepts: The condition; NaN, which stands for text that is no number, must fail it.
        expected: What the error says was expected, with the punctuation that precedes the text.

    Raises:
        argparse.ArgumentTypeError: If the text is anything else.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not accepts(value):
        raise argparse.ArgumentTypeError(f"expected {expected} got {text!r}")
    return value


def unit_interval(text: str) -> float:
    """Parse a number from 0 to 1, for ``type=``; see :func:`parse_number`."""
    return parse_number(text, lambda value: 0 <= value <= 1, "a number from 0 to 1,")


def fraction(text: str) -> float:
    """Parse a number between 0 and 1, both excluded, for ``type=``; see :func:`parse_number`."""
    return parse_number(text, lambda value: 0 < value < 1, "a number between 0 and 1, such as 0.1;")


def core_minutes(text: str) -> float:
    """Parse a budget, for ``type=``; see :func:`parse_number`."""
    return parse_number(text, lambda value: 0 < value < math.inf, "core-minutes, a number above 0;")


def positive(text: str) -> int:
    """Parse a whole number of 1 or more, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: If the text is anything else.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text!r}")
    return int(text)


def devices(text: str) -> str:
    """Parse a number of processes, or GPUs such as ``cuda:0,cuda:2``, for ``type=``; the text is returned.

    Raises:
        argparse.ArgumentTypeError: If the text is neither, or names a GPU twice.
    """
    names = [name.strip() for name in text.split(",")]
    gpus = [name.removeprefix("cuda:") for name in names]
    if names == gpus:
        return str(positive(text))
    if not all(name.startswith("cuda:") and gpu.isdecimal() for name, gpu in zip(names, gpus, strict=True)) or len(set(gpus)) < len(gpus):
        raise argparse.ArgumentTypeError(f"expected a number of processes, or different GPUs such as cuda:0,cuda:1; got {text!r}")
    return ",".join(names)


def image_size(text: str) -> tuple[int, int]:
    """Parse ``480x640`` to ``(height, width)``, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: If the text is anything else.
    """
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH such as 480x640, got {text!r}")
    return int(height), int(width)


def scale(text: str) -> float:
    """Parse a scale of an image pyramid, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: If the text is not a number.
    """
    try:
        return float(text)
    except ValueError:
        hint = "name the images before --pyramid, which takes every word that follows it"
        raise argparse.ArgumentTypeError(f"expected numbers, got {text!r}; {hint}") from None


def tile_side(text: str) -> int:
    """Parse the side of a tile, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: If the text is no whole number from 32 on.
    """
    if not text.isdecimal():
        hint = "name the images before --tiles, which takes every word that follows it"
        raise argparse.ArgumentTypeError(f"expected sides of tiles in pixels, such as 640, got {text!r}; {hint}")
    if int(text) < MIN_TILE:
        raise argparse.ArgumentTypeError(f"expected sides of at least {MIN_TILE} pixels, such as 640, got {text!r}")
    return int(text)


def overlap(text: str) -> float:
    """Parse a fraction from 0 to below 1, for ``type=``; see :func:`parse_number`."""
    return parse_number(text, lambda value: 0 <= value < 1, "a fraction from 0 to below 1, such as 0.2;")


def size_range(text: str) -> tuple[float, float]:
    """Parse ``FROM:BELOW``, of which either side may be missing, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: If the text is anything else.
    """
    low, colon, high = text.partition(":")
    try:
        if colon:
            return float(low or 0), float(high or math.inf)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected FROM:BELOW, such as 24:128, 64: or :48; got {text!r}")


def seconds(text: str) -> float:
    """Parse a time in seconds, for ``type=``; see :func:`parse_number`."""
    return parse_number(text, lambda value: value >= 0, "seconds, a number from 0 on;")


def svd_ranks(text: str) -> tuple[int, ...]:
    """Parse ``1024,256``, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: If the text is anything else.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected two numbers, such as 1024,256; got {text!r}") from None
