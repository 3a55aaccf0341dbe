"""An evaluation's numbers as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from detkit.cli.report import count, shown, table
from detkit.evaluation import COCO_NAMES, CocoNumbers, Counts, VocNumbers
from detkit.evaluation.compare import RESAMPLES, Difference
from detkit.evaluation.details import ERRORS, Details, OperatingPoint

_MOST = 15


def coco_text(numbers: CocoNumbers) -> str:
    """The 12 numbers with what they say, and a table of the classes."""
    rows = [(name, shown(numbers[name]), says) for name, says in COCO_NAMES.items()]
    summary = table(rows, ("COCO", numbers.evaluator, ""), {numbers.evaluator})
    header = ("class", "boxes", "detections", "AP", "AP50", "AP75", "AR100")
    classes = [
        (row.name, f"{row.boxes:,}", f"{row.detections:,}", *(shown(value) for value in (row.ap, row.ap50, row.ap75, row.ar)))
        for row in numbers.classes
    ]
    return f"{summary}\n\n{table(classes, header, set(header[1:]))}{_legend(row.boxes for row in numbers.classes)}"


def voc_text(numbers: VocNumbers) -> str:
    """The mean, and a table of the classes, at each IoU threshold."""
    header = ("class", "boxes", "detections", *(f"AP{100 * overlap:g}" for overlap in numbers.iou_thresholds))
    rows = [(row.name, f"{row.boxes:,}", f"{row.detections:,}", *(shown(ap) for ap in row.ap)) for row in numbers.classes]
    rows.append(("mean", f"{numbers.counts.boxes:,}", f"{numbers.counts.detections:,}", *(shown(ap) for ap in numbers.values)))
    legend = _legend(row.boxes for row in numbers.classes)
    return f"Pascal VOC average precision, {numbers.rule}\n{table(rows, header, set(header[1:]))}{legend}"


def _legend(boxes: Iterable[int]) -> str:
    return "" if all(boxes) else "\n-: no ground truth, so there is no number and no part in a mean"


def counts_text(counts: Counts, ignored: str, others: Mapping[str, int]) -> list[str]:
    """How much was judged, and what was left out."""
    extra = f", and {counts.ignored:,} {ignored} that count neither way" if counts.ignored else ""
    lines = [f"{count(counts.images, 'image')}, {count(counts.boxes, 'box', 'boxes')}{extra}; {count(counts.detections, 'detection')}"]
    for reason, number in counts.left_out.items():
        lines.append(f"left out: {number:,} {reason}")
    if others:
        most = sorted(others.items(), key=lambda item: -item[1])
        listed = ", ".join(f"{name} {number:,}" for name, number in most[:_MOST])
        lines[-1] += f" ({listed}{f', and {len(most) - _MOST} more classes' if len(most) > _MOST else ''})"
    return lines


def against_text(other: str, rows: Sequence[Difference]) -> str:
    """The differences to another detector, each with its interval."""
    header = ("against", "this", "that", "difference", "95 % of draws", "")
    lines = [
        (
            row.name,
            shown(row.own),
            shown(row.other),
            f"{row.value:+.3f}",
            f"{row.low:+.3f} to {row.high:+.3f}",
            "" if row.is_significant else "may be chance",
        )
        for row in rows
    ]
    return f"against {other}, {RESAMPLES:,} draws of images\n{table(lines, header, set(header[1:-1]))}"


def details_text(details: Details) -> str:
    """The best cuts, the kinds of error, mix-ups and the worst images."""
    header = ("class", "score", "precision", "recall", "F1")
    parts = ["best score to cut at, by F1 at IoU .5", table([_cut_row(cut) for cut in details.operating_points], header, set(header[1:]))]
    rows = [(kind, f"{number:,}", shown(cost), ERRORS[kind]) for kind, (number, cost) in details.errors.items()]
    parts += ["", "kinds of error (TIDE), and how much AP50 each costs", table(rows, ("error", "count", "AP50", ""), {"count", "AP50"})]
    score = details.operating_points[0].score
    if details.confusions:
        parts += ["", f"taken for one another, from score {shown(score)} on", _confused_table(details.confusions)]
    if details.worst:
        worst = [(row.image, row.right, row.wrong, row.missed) for row in details.worst]
        columns = ("image", "right", "wrong", "missed")
        parts += ["", f"images with most errors, from score {shown(score)} on", table(worst, columns, set(columns[1:]))]
    return "\n".join(parts)


def _cut_row(cut: OperatingPoint) -> tuple[str, ...]:
    return cut.name, shown(cut.score), shown(cut.precision), shown(cut.recall), shown(cut.f1)


def _confused_table(rows: Sequence[tuple[str, str, int]]) -> str:
    return table(rows[:_MOST], ("truth", "found", "count"), {"count"})
