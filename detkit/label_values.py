"""Values of label files, read in one way by all who read them: people's tools write numbers and flags as text, too."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_FLAGS = {"": False, "0": False, "0.0": False, "false": False, "nan": False, "unspecified": False, "1": True, "1.0": True, "true": True}


def flag(value: Any) -> bool:
    """Whether a flag is set: 1 or true, as a number or in words; nothing and "unspecified" are not set.

    Raises:
        ValueError: it is neither; says what was expected and got, as all of these do.
    """
    if not value:
        return False
    found = _FLAGS.get(str(value).strip().lower())
    if found is None:
        raise ValueError(f"expected 0 or 1, got {value!r}")
    return found


def whole_number(value: Any) -> int:
    """A whole number of at most 64 bits: ``3``, ``3.0`` or ``"3"``.

    Raises:
        ValueError: it is none, or has a fraction.
    """
    try:
        found = int(value)
        if (found == value or isinstance(value, str)) and abs(found) < 2**63:
            return found
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"expected a whole number (64 bits), got {value!r}")


def number(value: Any) -> float:
    """A number, NaN and infinity among them, or a text that is one.

    Raises:
        ValueError: it is none.
    """
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"expected a number, got {value!r}") from None


def four_numbers(value: Any) -> list[float]:
    """``x, y, width, height`` of a box; NaN where one of them is null.

    Raises:
        ValueError: it is not a list of four numbers.
    """
    try:
        if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 4:
            return [math.nan if side is None else number(side) for side in value]
    except ValueError:
        pass
    raise ValueError(f"expected four numbers x, y, width, height, got {value!r}")


def stated_area(value: Any) -> float:
    """An area, in square pixels; NaN where none is stated: nothing, NaN, infinity, or a number below 0.

    Raises:
        ValueError: it is no number.
    """
    area = math.nan if value in (None, "") else number(value)
    return area if 0 <= area < math.inf else math.nan


def stated_size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """``(height, width)`` in pixels of an image in a COCO file; None where it states none that a image can have."""
    try:
        height, width = (int(number(image.get(side))) for side in ("height", "width"))
    except (ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None
