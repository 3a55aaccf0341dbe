"""Optional columns of several groups of rows that are concatenated: the rule for groups that lack a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def filled_parts(values: Sequence[Any], counts: Sequence[int], kind: Any) -> list[Any]:
    """Return a column whose rows may have no value, where it is missing as rows without; empty if no group has it.

    Args:
        values: The column in each group, or None.
        counts: Number of rows of each group.
        kind: Its type, :class:`~detkit.structures.masks.Masks` or :class:`~detkit.structures.segmentations.Segmentations`.
    """
    if all(value is None for value in values):
        return []
    return [kind.none(count) if value is None else value for value, count in zip(values, counts, strict=True)]


def given_parts(values: Sequence[Any], counts: Sequence[int], name: str) -> list[Any]:
    """Return a column that has a value in every row of the groups that have it; empty if none has.

    Args:
        values: The column in each group, or None.
        counts: Number of rows of each group.
        name: Name of the column.

    Raises:
        ValueError: If the column is there in some groups, and missing in others that have rows.
    """
    given = [value for value in values if value is not None]
    lacking = sum(value is None and count > 0 for value, count in zip(values, counts, strict=True))
    if given and lacking:
        advice = f"expected it in all or in none; drop it first with replace({name}=None)"
        raise ValueError(f"cat: {lacking} of {len(values)} groups of rows lack {name}: {advice}")
    return given
