"""Axes of plots: from values to pixels, and round numbers for the ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """An axis of a plot.

    Attributes:
        label: What it shows, with the unit.
        low: Smallest value.
        high: Largest value, above ``low``.
        logarithmic: Whether equal distances are equal ratios; ``low`` must be above 0.
    """

    label: str
    low: float = 0.0
    high: float = 1.0
    logarithmic: bool = False

    @classmethod
    def of(cls, label: str, values: Iterable[float], *, logarithmic: bool = False, from_zero: bool = False) -> Axis:
        """Return an axis with room for these values; without finite values, from 0 to 1 (logarithmic: 1 to 10)."""
        known = [value for value in values if math.isfinite(value) and (value > 0 or not logarithmic)]
        if not known:
            return cls(label, 1.0, 10.0, True) if logarithmic else cls(label)
        low, high = min(known), max(known)
        if logarithmic:
            return cls(label, low / 1.15, high * 1.15, True)
        low = min(low, 0.0) if from_zero else low
        room = (high - low) * 0.05 or abs(high) * 0.1 or 0.5
        return cls(label, low if from_zero and low == 0 else low - room, high + room)

    def fraction(self, value: float) -> float:
        """Return the position of a value from 0 at ``low`` to 1 at ``high``; values outside are moved to the nearer end."""
        if self.logarithmic:
            position = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            position = (value - self.low) / (self.high - self.low)
        return min(max(position, 0.0), 1.0)

    def ticks(self, count: int = 6) -> list[float]:
        """Return at most about ``count`` round values on the axis."""
        if self.logarithmic:
            return self._logarithmic_ticks(count)
        step = _round_step((self.high - self.low) / max(count - 1, 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]

    def _logarithmic_ticks(self, count: int) -> list[float]:
        low, high = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for factors in ((1, 2, 5), (1, 3), (1,)):
            values = [factor * 10.0**power for power in range(low, high + 1) for factor in factors]
            inside = [value for value in values if self.low * 0.999 <= value <= self.high * 1.001]
            if len(inside) <= count + 2:
                return inside
        step = -(-len(inside) // count)
        return inside[::step]


def tick_text(value: float) -> str:
    """Return a tick's text: ``0.2``, ``1,500``, ``20k`` from 10,000 on, ``2.5e-4`` below .001."""
    size = abs(value)
    if 0 < size < 9.99e-4:
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}".replace("-", "\u2212")
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            base = 1e3 if unit == "k" else limit
            return f"{value / base:.4g}{unit}".replace("-", "\u2212")
    text = f"{value:,.0f}" if size >= 1000 else f"{round(value, 12):.4g}"
    return text.replace("-", "\u2212")


def _round_step(raw: float) -> float:
    """Return 1, 2, 2.5 or 5 times a power of ten, at least ``raw``."""
    power = 10.0 ** math.floor(math.log10(raw))
    return next((factor * power for factor in (1.0, 2.0, 2.5, 5.0) if factor * power >= raw * (1 - 1e-9)), 10.0 * power)
