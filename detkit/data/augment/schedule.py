"""The part of a training in which something is applied."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

Fraction = Annotated[float, Field(ge=0, le=1)]


def _check_order(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] >= value[1]:
        raise ValueError(f"expected fractions of the training in ascending order, (start, end), got {value}")
    return value


Span = Annotated[tuple[Fraction, Fraction], AfterValidator(_check_order)]
"""``(start, end)`` as fractions of the training."""
WHOLE_TRAINING = (0.0, 1.0)
"""From the first step to the last."""


def is_within(progress: float, span: tuple[float, float]) -> bool:
    """Return whether a fraction of the training is in a span; the start is, the end is not unless it is that of the training."""
    return span[0] <= progress and (progress < span[1] or span[1] >= 1)


def changes_within(spans: list[tuple[float, float]]) -> tuple[float, ...]:
    """Return the fractions of the training, in ascending order, at which a span starts or ends, except the limits of the training."""
    return tuple(sorted({fraction for span in spans for fraction in span if 0 < fraction < 1}))
