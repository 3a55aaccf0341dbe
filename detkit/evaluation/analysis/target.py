"""Targets of score thresholds: the best F1, a precision, a recall, or a number of false alarms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self, get_args

Kind = Literal["f1", "precision", "recall", "false-alarms-per-image"]
KINDS: tuple[Kind, ...] = get_args(Kind)
EXPECTED = "f1, precision=P, recall=R or false-alarms-per-image=N, such as precision=0.9"


@dataclass(frozen=True)
class Target:
    """Target of the score threshold of each class, at IoU .5.

    Attributes:
        kind: The number that counts.
        value: The lowest precision or recall, between 0 and 1; or the highest mean number of false alarms in an image; 0 for ``f1``.
    """

    kind: Kind
    value: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the target that a text such as ``precision=.9`` names.

        Raises:
            ValueError: If it names none, or its number is out of range.
        """
        kind, separator, number = text.strip().partition("=")
        if kind not in KINDS or (kind == "f1") == bool(separator):
            raise ValueError(f"expected {EXPECTED}; got {text!r}")
        try:
            value = float(number or 0)
        except ValueError:
            value = math.nan
        if kind in {"precision", "recall"} and not 0 < value < 1:
            raise ValueError(f"{kind}: expected a number between 0 and 1, such as {kind}=0.9; got {number!r}")
        if kind == "false-alarms-per-image" and not 0 < value < math.inf:
            raise ValueError(f"{kind}: expected a number above 0, such as {kind}=0.1; got {number!r}")
        return cls(kind, value)

    def __str__(self) -> str:
        return self.kind if self.kind == "f1" else f"{self.kind}={self.value:g}"

    @property
    def rule(self) -> str:
        """The target in words."""
        return {
            "f1": "best F1 at IoU .5",
            "precision": f"precision of at least {self.value:g} at IoU .5",
            "recall": f"recall of at least {self.value:g} at IoU .5",
            "false-alarms-per-image": f"at most {self.value:g} false alarms per image at IoU .5",
        }[self.kind]
