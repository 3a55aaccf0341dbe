"""Which cases a report shows as crops: of each kind the most telling ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from detkit.evaluation.analysis.cases import Case
from detkit.report.images import Box

CROPS = 300
"""Crops of a report, mistakes and correct detections together."""
_CORRECT_SHARE = 0.2
"""Fraction of the crops that correct detections get, of each class in turn those with the lowest scores."""
KINDS = ("miss", "false alarm", "wrong class", "duplicate", "poor localization")


def select_cases(cases: Sequence[Case], limit: int = CROPS) -> list[int]:
    """Return the positions of the cases to show: mistakes of each kind in turn, then the least certain correct detections.

    Of false alarms, wrong classes, duplicates and poorly localized detections those with the highest scores come first, of misses the
    largest objects. A kind with fewer cases leaves its share to the others.
    """
    by_class: dict[int | None, list[int]] = defaultdict(list)
    for position in _ranked(cases, "correct", lambda case: case.score or 0.0):
        by_class[cases[position].true_class].append(position)
    correct = _in_turn(list(by_class.values()), int(limit * _CORRECT_SHARE))
    mistakes = _in_turn([_ranked(cases, kind, _urgency) for kind in KINDS], limit - len(correct))
    return [*mistakes, *correct]


def _in_turn(queues: Sequence[Sequence[int]], limit: int) -> list[int]:
    """Return the first of each queue, then the second of each, and so on, at most ``limit`` in all."""
    taken: list[int] = []
    for turn in range(max(map(len, queues), default=0)):
        taken += [queue[turn] for queue in queues if turn < len(queue)]
        if len(taken) >= limit:
            break
    return taken[:limit]


def _ranked(cases: Sequence[Case], kind: str, key: Callable[[Case], float]) -> list[int]:
    positions = [position for position, case in enumerate(cases) if case.kind == kind]
    return sorted(positions, key=lambda position: key(cases[position]))


def _urgency(case: Case) -> float:
    """Return what sorts a mistake before others of its kind: a high score, or a large object."""
    return -case.score if case.score is not None else -area(case.true_box)


def area(box: Box | None) -> float:
    """Return the area of a box, 0 without one."""
    return 0.0 if box is None else (box[2] - box[0]) * (box[3] - box[1])
