"""Checks of the fields of stored mappings: headers of checkpoints, and training states."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from detkit.printable import shortened

LONGEST_VALUE = 80
"""Characters of a wrong value that a message shows."""


@dataclass(frozen=True)
class Field:
    """The values that a field may hold.

    Attributes:
        expected: Its description in messages, such as "a list of names".
        fits: Whether a value fits.
        required: Whether the field must exist.
    """

    expected: str
    fits: Callable[[Any], bool]
    required: bool = True

    def optional(self) -> Field:
        """Return the same field, which may be missing."""
        return Field(self.expected, self.fits, required=False)


def check_fields(values: Any, fields: Mapping[str, Field], name: str, advice: str) -> None:
    """Check that a mapping has the required fields and that all known fields fit; unknown ones are passed over.

    Args:
        values: The mapping.
        fields: The known fields, by name.
        name: What the mapping is, with its file, for messages.
        advice: What to do about a wrong field.

    Raises:
        ValueError: If a field is missing or has a wrong value.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{name}: expected a mapping of fields, got {_shown(values)}; {advice}")
    missing = [key for key, field in fields.items() if field.required and key not in values]
    if missing:
        raise ValueError(f"{name}: expected the fields {', '.join(fields)}, got none of {', '.join(missing)}; {advice}")
    for key, field in fields.items():
        if key in values and not field.fits(values[key]):
            raise ValueError(f"{name}: {key}: expected {field.expected}, got {_shown(values[key])}; {advice}")


def is_count(value: Any, limit: int = 2**53) -> bool:
    """Whether a value is an integer from 0 to ``limit``."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limit


def is_number(value: Any) -> bool:
    """Whether a value is a finite number that a float can hold."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def is_text(value: Any) -> bool:
    """Whether a value is a string."""
    return isinstance(value, str)


def is_mapping(value: Any) -> bool:
    """Whether a value is a mapping with strings as keys."""
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _shown(value: Any) -> str:
    kind = type(value).__name__
    if isinstance(value, (Mapping, list, tuple)) and len(value) > 4:
        return f"a {kind} of {len(value):,}"
    try:
        return f"{kind} {shortened(repr(value), LONGEST_VALUE)}"
    except (ValueError, RecursionError):  # an integer of thousands of digits, or deep nesting
        return f"an unprintable {kind}"
