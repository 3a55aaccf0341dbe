"""Operating points as text."""

from __future__ import annotations

from detkit.checkpoint.operating_points import INTERVALS, OperatingPoint, OperatingPoints
from detkit.cli.report import MOST_ROWS, ROWS_OF_MANY, count, listed, shown, table
from detkit.printable import printable

_COLUMNS = {"precision": "precision", "recall": "recall", "f1": "F1", "false_alarms_per_image": "false alarms per image"}


def points_text(points: OperatingPoints) -> str:
    """Return where operating points were found, a table of them, and the classes that do not reach the target."""
    from detkit.evaluation.analysis.thresholds import MIN_CORRECT

    found = f"{printable(points.data)} ({count(points.images, 'image')})"
    lines = [f"minimum scores: {points.rule}, found on {found}"]
    rows = list(points.classes.values())
    listed_rows = rows if len(rows) <= MOST_ROWS else sorted(rows, key=_objects, reverse=True)[:ROWS_OF_MANY]
    calibrated = points.overall.evidence is not None
    header = ("class", *(("objects",) if calibrated else ()), "score", *(_COLUMNS[name] for name in INTERVALS[: 4 if calibrated else 3]))
    cells = [_row(point) for point in (points.overall, *listed_rows)]
    lines.append(table(cells, header, set(header[1:3] if calibrated else header[1:])))
    if len(listed_rows) < len(rows):
        lines.append(f"and {len(rows) - len(listed_rows):,} more classes")
    if calibrated:
        lines.append("in parentheses: where 95 % of the numbers lie that as many new images of the same kind would give")
    if not points.overall_reached:
        lines.append(f"all classes together do not reach {points.target}; their score is that of the best F1")
    if points.unreached:
        one = len(points.unreached) == 1
        reason = f"{'does' if one else 'do'} not reach {points.target} at any score that keeps {MIN_CORRECT} correct detections"
        fallback = f"{'gets none of its own, but uses' if one else 'get none of their own, but use'} that of all classes"
        classes = f"{count(len(points.unreached), 'class', 'classes')} {reason} and {fallback}, {points.overall.score:.3g}"
        lines.append(f"{classes}: {listed(points.unreached)}")
    return "\n".join(lines)


def _objects(point: OperatingPoint) -> int:
    return 0 if point.evidence is None else point.evidence.objects


def _row(point: OperatingPoint) -> tuple[str, ...]:
    evidence = point.evidence
    if evidence is None:
        return point.name, f"{point.score:.3g}", *map(shown, (point.precision, point.recall, point.f1))
    numbers = (point.precision, point.recall, point.f1, evidence.false_alarms_per_image)
    intervals = (evidence.intervals.get(name) for name in INTERVALS)
    cells = (
        shown(number) + ("" if pair is None else f" ({pair[0]:.2f} to {pair[1]:.2f})")
        for number, pair in zip(numbers, intervals, strict=True)
    )
    return point.name, f"{evidence.objects:,}", f"{point.score:.3g}", *cells
