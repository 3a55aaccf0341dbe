"""Nested values of a config as dotted keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return dotted keys with their values; members of lists of groups have their index in the key."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            result |= flat(value, f"{key}.")
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            result |= flat({str(index): item for index, item in enumerate(value)}, f"{key}.")
        else:
            result[key] = value
    return result
