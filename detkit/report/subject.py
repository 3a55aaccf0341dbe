"""The subject of a report: the analysis of an evaluation, its data, and where its images are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from detkit.evaluation.ground_truth import GroundTruth
from detkit.report.sources import ImageSource

if TYPE_CHECKING:
    from detkit.evaluation.analysis.analysis import Analysis
    from detkit.evaluation.analysis.cases import Case
    from detkit.report.training import TrainingFacts

BACKGROUND = "background"


@dataclass(frozen=True, eq=False)
class Subject:
    """An evaluation to report.

    Attributes:
        title: What was evaluated, such as ``runs/first-1 on bccd``.
        analysis: All numbers.
        truth: The ground truth that they were computed with.
        images: Its images.
        facts: Names and values about model, data and versions, for the last section.
        command: The command that repeats the evaluation; empty if it is unknown.
        training: The training that it ends; None for an evaluation alone.
        warnings: Sentences that a reader must know, such as labels that were left out.
    """

    title: str
    analysis: Analysis
    truth: GroundTruth
    images: ImageSource
    facts: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    training: TrainingFacts | None = None
    warnings: Sequence[str] = ()

    @cached_property
    def position_of(self) -> Mapping[int, int]:
        """Position of each category in ``analysis.numbers.classes``."""
        return {row.category_id: index for index, row in enumerate(self.analysis.numbers.classes)}

    def class_name(self, category_id: int | None) -> str:
        """Return the name of a class; None is the background."""
        return BACKGROUND if category_id is None else self.truth.categories[category_id]

    def case_text(self, case: Case) -> str:
        """Return a sentence about a case without its numbers."""
        detected, true = self.class_name(case.detected_class), self.class_name(case.true_class)
        texts = {
            "correct": f"{true}, detected",
            "miss": f"{true}, missed",
            "false alarm": f"{detected}, where no object is",
            "wrong class": f"{true}, detected as {detected}",
            "duplicate": f"{true}, detected again",
            "poor localization": f"{detected}, poorly localized",
        }
        return texts[case.kind]


def short_name(name: str) -> str:
    """Return the file name of a path in either style of separators."""
    return name.replace("\\", "/").rpartition("/")[2]
