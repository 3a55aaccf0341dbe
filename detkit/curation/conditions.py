"""Conditions on images, such as ``boxes>0 and "traffic light">=2``: parsed, never executed."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detkit.arrays import Doubles, Flags
from detkit.registry import did_you_mean

QUANTITIES: Mapping[str, str] = {
    "boxes": "number of boxes",
    "width": "width of the image in pixels",
    "height": "height of the image in pixels",
    "side": "shorter side of the image in pixels",
    "area": "area of the image in square pixels",
}
"""Quantities of an image by name; the name of a class, in quotes if it has spaces, is the number of its boxes."""

_OPERATORS: Mapping[str, Callable[[Doubles, float], Flags]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_TOKEN = re.compile(r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')|(?P<operator>>=|<=|==|!=|[<>=])|(?P<word>[^\s<>=!"']+))""")
_EXAMPLE = "expected comparisons such as boxes>0 or cat>=2, joined by 'and' and 'or'"


@dataclass(frozen=True)
class Comparison:
    """One comparison of a quantity with a number.

    Attributes:
        name: A key of :data:`QUANTITIES`, or a class.
        is_class: Whether it is a class.
        operator: Such as ``>=``.
        number: The number.
    """

    name: str
    is_class: bool
    operator: str
    number: float


@dataclass(frozen=True)
class Condition:
    """A condition: at least one of its clauses holds, that is, all comparisons of the clause.

    Attributes:
        text: The condition as typed.
        clauses: The comparisons of each clause.
    """

    text: str
    clauses: tuple[tuple[Comparison, ...], ...]

    def holds(self, value: Callable[[Comparison], Doubles]) -> Flags:
        """Return for each image whether the condition holds; ``value`` returns a comparison's quantity of all images."""
        clauses = [np.all([_OPERATORS[item.operator](value(item), item.number) for item in clause], axis=0) for clause in self.clauses]
        holds: Flags = np.any(clauses, axis=0)
        return holds


def parse_condition(text: str, class_names: Sequence[str]) -> Condition:
    """Parse a condition; ``and`` binds tighter than ``or``.

    Args:
        text: Comparisons ``NAME OPERATOR NUMBER`` joined by ``and`` and ``or``.
        class_names: The classes that it may name.

    Raises:
        ValueError: If it is no condition, or names something unknown.
    """
    tokens = _tokens(text)
    clauses: list[list[Comparison]] = [[]]
    for start in range(0, len(tokens), 4):
        clauses[-1].append(_comparison(text, tokens[start : start + 3], class_names))
        joint = tokens[start + 3 : start + 4]
        if joint and (joint[0] not in (("word", "and"), ("word", "or")) or start + 4 == len(tokens)):
            raise ValueError(f"condition {text!r}: {_EXAMPLE}, got {joint[0][1]!r} after a comparison")
        if joint == [("word", "or")]:
            clauses.append([])
    return Condition(text, tuple(map(tuple, clauses)))


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise ValueError(f"condition {text!r}: {_EXAMPLE}, got {text[position:].strip()!r}")
        value = match[match.lastgroup]
        tokens.append((match.lastgroup, value[1:-1] if match.lastgroup == "quoted" else value))
        position = match.end()
    if not tokens:
        raise ValueError(f"condition {text!r}: {_EXAMPLE}, got nothing")
    return tokens


def _comparison(text: str, tokens: Sequence[tuple[str, str]], class_names: Sequence[str]) -> Comparison:
    kinds = [kind for kind, _ in tokens]
    if len(kinds) < 3 or kinds[0] == "operator" or kinds[1:] != ["operator", "word"]:
        raise ValueError(f"condition {text!r}: {_EXAMPLE}, got {' '.join(value for _, value in tokens)!r}")
    (kind, name), (_, sign), (_, number) = tokens
    is_class = kind == "quoted" or name not in QUANTITIES
    if is_class and name not in class_names:
        known = (*class_names, *(() if kind == "quoted" else QUANTITIES))
        raise ValueError(f"condition {text!r}: the data has no class {name!r}: {did_you_mean(name, known)}")
    try:
        return Comparison(name, is_class, sign, float(number))
    except ValueError:
        raise ValueError(f"condition {text!r}: expected a number after {name}{sign}, got {number!r}") from None
