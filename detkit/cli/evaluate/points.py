"""Precision, recall and false alarms of what `detkit detect` reports, for ``--at-operating-point``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detkit.cli.flags import min_score
from detkit.cli.report import MOST_ROWS, ROWS_OF_MANY, shown, table

if TYPE_CHECKING:
    from detkit.cli.evaluate.jobs import DetectorJob, FileJob
    from detkit.cli.evaluate.options import EvaluateOptions
    from detkit.evaluation.analysis.at_points import PointNumbers, PointsEvaluation
    from detkit.inference.min_scores import MinScore

_NUMBERS = {"score", "objects", "detections", "correct", "precision", "recall", "F1", "false alarms per image"}


def at_points(options: EvaluateOptions, job: FileJob | DetectorJob) -> tuple[MinScore, PointsEvaluation]:
    """Return the lowest scores that detect would report, and the numbers of the detections with these scores."""
    from detkit.checkpoint.operating_points import OperatingPoints
    from detkit.evaluation.analysis.at_points import at_operating_points

    lowest, _ = min_score(options.min_score, "" if options.annotations else job.metadata["model"])
    truth, results = job.truth_and_results()
    if isinstance(lowest, OperatingPoints):
        scores = {name: lowest.score_of(name) for name in truth.categories.values()}
        return lowest, at_operating_points(truth, results, scores)
    return lowest, at_operating_points(truth, results, {}, default=lowest)


def points_dict(lowest: MinScore, evaluation: PointsEvaluation) -> dict[str, Any]:
    """Return the numbers as a JSON-serializable dict, with None for NaN."""
    used = {"min_score": lowest} if isinstance(lowest, float) else {"target": lowest.target, "data": lowest.data, "split": lowest.split}
    return {**used, **evaluation.to_dict()}


def points_text(lowest: MinScore, evaluation: PointsEvaluation) -> str:
    """Return a table of the numbers of all classes together and of each."""
    given = f"a minimum score of {lowest:g}" if isinstance(lowest, float) else f"the operating points ({lowest.rule}, on {lowest.data})"
    classes = evaluation.classes
    if len(classes) > MOST_ROWS:
        classes = tuple(sorted(classes, key=lambda row: -row.objects)[:ROWS_OF_MANY])
    header = ("class", "score", "objects", "detections", "correct", "precision", "recall", "F1", "false alarms per image")
    rows = [_row(evaluation.overall, "-"), *(_row(row, f"{row.score:.3g}") for row in classes)]
    more = len(evaluation.classes) - len(classes)
    note = f"\nand {more:,} less frequent classes; --json has them" if more else ""
    return f"at {given}, at IoU .5\n{table(rows, header, _NUMBERS)}{note}"


def _row(row: PointNumbers, score: str) -> tuple[str, ...]:
    counts = (f"{number:,}" for number in (row.objects, row.detections, row.correct))
    return row.name, score, *counts, *map(shown, (row.precision, row.recall, row.f1, row.false_alarms_per_image))
