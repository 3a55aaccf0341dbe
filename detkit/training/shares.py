"""How the stages of a run share its budget."""

from __future__ import annotations

from collections.abc import Sequence

_ROUNDING = 1e-9


def split_budget(given: Sequence[float | None]) -> list[float]:
    """The part of the budget that each stage may take: what is given, and of the rest the same for all others.

    Raises:
        ValueError: more is given than there is, or nothing is left for the others.
    """
    claimed = sum(share for share in given if share is not None)
    open_ones = sum(share is None for share in given)
    if claimed > 1 + _ROUNDING or (open_ones and claimed >= 1 - _ROUNDING):
        what = f"{open_ones} stages have none, and nothing is left for them" if open_ones else "they are parts of one budget"
        raise ValueError(f"stages: their shares add up to {claimed:g}, expected {'less than' if open_ones else 'at most'} 1: {what}")
    return [(1 - claimed) / open_ones if share is None else share for share in given]
