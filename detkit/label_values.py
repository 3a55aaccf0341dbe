"""Parsing of the values in label files, shared by all readers; some tools write numbers and flags as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_FLAGS = {"": False, "0": False, "0.0": False, "false": False, "nan": False, "unspecified": False, "1": True, "1.0": True, "true": True}

_LONGEST_NUMBER = 20
"""Digits; a longer text is no id of 64 bits."""


def parse_flag(value: Any) -> bool:
    """Return whether a flag is set: 1 or true, as a number or text; an empty value and "unspecified" mean not set.

    Raises:
        ValueError: If the value is not a flag. As for all functions here, the message states what was expected and what was given.
    """
    if not value:
        return False
    parsed = _FLAGS.get(str(value).strip().lower())
    if parsed is None:
        raise ValueError(f"expected 0 or 1, got {value!r}")
    return parsed


def parse_integer(value: Any) -> int:
    """Return an integer of at most 64 bits, from ``3``, ``3.0`` or ``"3"``.

    Raises:
        ValueError: If the value is not a number, or has a fraction.
    """
    try:
        parsed = int(value)
        if (parsed == value or isinstance(value, str)) and abs(parsed) < 2**63:
            return parsed
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"expected a whole number (64 bits), got {value!r}")


def canonical_id(value: Any) -> int | str:
    """Return an id in the one form in which ids are compared: ``7``, ``7.0`` and ``"7"`` are the number 7, other texts stay as they are.

    ``"007"`` is a text of its own, since it may be the name of a file.

    Raises:
        ValueError: If the value is neither a whole number nor a text.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str):
        raise ValueError(f"expected a whole number or a text as id, got {value!r}")
    digits = value.removeprefix("-")
    is_number = digits.isascii() and digits.isdigit() and len(digits) < _LONGEST_NUMBER and str(int(value)) == value
    return int(value) if is_number else value


def parse_number(value: Any) -> float:
    """Return a float, which may be NaN or infinite, from a number or text.

    Raises:
        ValueError: If the value is not a number.
    """
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"expected a number, got {value!r}") from None


def parse_box(value: Any) -> list[float]:
    """Return ``x, y, width, height`` of a box; a null becomes NaN.

    Raises:
        ValueError: If the value is not a list of four numbers.
    """
    try:
        if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 4:
            return [math.nan if side is None else parse_number(side) for side in value]
    except ValueError:
        pass
    raise ValueError(f"expected four numbers x, y, width, height, got {value!r}")


def parse_area(value: Any) -> float:
    """Return an area in square pixels; NaN for an empty, NaN, infinite or negative value.

    Raises:
        ValueError: If the value is not a number.
    """
    area = math.nan if value in (None, "") else parse_number(value)
    return area if 0 <= area < math.inf else math.nan


def parse_size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return ``(height, width)`` in pixels of an image entry in a COCO file; None if it has no valid size."""
    try:
        height, width = (int(parse_number(image.get(side))) for side in ("height", "width"))
    except (ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None
