"""Confusion matrix of a detector, with the background as a further class."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConfusionCell:
    """Objects of one class (or the background) that were detected as another (or not at all).

    Attributes:
        true_class: Category id of the objects; None for the background: detections without an object.
        detected_class: Category id of the detections; None for the background: missed objects.
        count: Number of cases.
        cases: Positions of the cases in ``Analysis.cases``.
    """

    true_class: int | None
    detected_class: int | None
    count: int
    cases: tuple[int, ...]


@dataclass(frozen=True)
class Confusion:
    """Confusion matrix at one score and IoU .5.

    Every object is counted once in its row, and every detection once in its column. A detection on an object that another one detects is
    counted as background.

    Attributes:
        score: Score of the cut.
        categories: Category ids of the rows and columns; the background comes last.
        names: Names of the classes.
        cells: The cells that are not 0, in the order of rows and columns.
    """

    score: float
    categories: tuple[int, ...]
    names: tuple[str, ...]
    cells: tuple[ConfusionCell, ...]
