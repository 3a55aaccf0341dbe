"""Confusion matrix of a detector, with the background as a further class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detkit.evaluation.analysis.cases import Case
from detkit.evaluation.analysis.judging import Judgment
from detkit.evaluation.analysis.matching import sorted_ids
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.results import Integers


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

    @classmethod
    def of(cls, truth: GroundTruth, score: float, judgments: Mapping[int, Judgment], cases: Sequence[Case]) -> Confusion:
        """Return the matrix of judgments, and of the cases that :func:`~detkit.evaluation.analysis.listing.list_cases` made of them."""
        cells: dict[tuple[int | None, int | None], list[int]] = {}
        accounted = {judgment.target for judgment in judgments.values() if judgment.accounts}
        listed: set[int] = set()
        for position, (judgment, case) in enumerate(zip(judgments.values(), cases, strict=False)):
            cells.setdefault((case.true_class if judgment.accounts else None, case.detected_class), []).append(position)
            if case.kind == "poor localization" and judgment.target not in accounted and judgment.target not in listed:
                cells.setdefault((case.true_class, None), []).append(position)
                listed |= {judgment.target}
        for position in range(len(judgments), len(cases)):
            cells.setdefault((cases[position].true_class, None), []).append(position)
        categories = tuple(truth.categories)
        index: dict[int | None, int] = {category_id: number for number, category_id in enumerate(categories)} | {None: len(categories)}
        ordered = sorted(cells.items(), key=lambda cell: (index[cell[0][0]], index[cell[0][1]]))
        rows = tuple(ConfusionCell(*classes, len(positions), tuple(positions)) for classes, positions in ordered)
        return cls(score, categories, tuple(truth.categories.values()), rows)

    def matrix(self) -> Integers:
        """Return the counts ``(K + 1, K + 1)``: true classes as rows and detected classes as columns, the background last."""
        size = len(self.categories)
        counts = np.zeros((size + 1, size + 1), np.int64)
        known = sorted_ids(self.categories)
        for cell in self.cells:
            row, column = (size if one is None else int(np.searchsorted(known, one)) for one in (cell.true_class, cell.detected_class))
            counts[row, column] = cell.count
        return counts
