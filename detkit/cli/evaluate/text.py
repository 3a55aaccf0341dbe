"""The results of an evaluation as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from detkit.checkpoint.operating_points import OperatingPoint
from detkit.cli.report import LONGEST_CELL, MOST_ROWS, ROWS_OF_MANY, count, shown, table
from detkit.evaluation import COCO_NAMES, CocoNumbers, Counts, VocNumbers
from detkit.evaluation.compare import RESAMPLES, Difference
from detkit.evaluation.details import ERRORS, Details
from detkit.evaluation.numbers import CocoClass, VocClass
from detkit.evaluation.segm import WITHOUT_MASK
from detkit.printable import printable

_MAX_ROWS = 15
C = TypeVar("C", CocoClass, VocClass)


def coco_text(numbers: CocoNumbers) -> str:
    """Return the 12 COCO metrics with their meaning, and a table of the classes; those of masks in columns and a table of their own."""
    columns = {numbers.evaluator: numbers} if numbers.segm is None else {"boxes": numbers, "masks": numbers.segm}
    rows = [(name, *(shown(one[name]) for one in columns.values()), meaning) for name, meaning in COCO_NAMES.items()]
    summary = table(rows, ("COCO", *columns, ""), set(columns))
    header = ("class", "boxes", "detections", "AP", "AP50", "AP75", "AR100")
    classes, note = _most_frequent(numbers.classes)
    cells = [(row.name, f"{row.boxes:,}", f"{row.detections:,}", *_class_numbers(row)) for row in classes]
    parts = [summary, f"{table(cells, header, set(header[1:]))}{note}{_legend(row.boxes for row in classes)}"]
    if numbers.segm is not None:
        own = {row.category_id: row for row in numbers.segm.classes}
        masks = [(row.name, f"{own[row.category_id].boxes:,}", *_class_numbers(own[row.category_id])) for row in classes]
        names = ("class", "masks", *header[3:])
        missing = numbers.segm.counts.left_out.get(WITHOUT_MASK, 0)
        ignored = f"; {count(missing, 'object')} without a mask left out" if missing else ""
        parts.append(f"masks{ignored}\n{table(masks, names, set(names[1:]))}")
    return "\n\n".join(parts)


def _class_numbers(row: CocoClass) -> tuple[str, ...]:
    return tuple(shown(value) for value in (row.ap, row.ap50, row.ap75, row.ar))


def voc_text(numbers: VocNumbers) -> str:
    """Return a table of the classes and their mean at each IoU threshold."""
    header = ("class", "boxes", "detections", *(f"AP{100 * iou:g}" for iou in numbers.iou_thresholds))
    classes, note = _most_frequent(numbers.classes)
    rows = [(row.name, f"{row.boxes:,}", f"{row.detections:,}", *(shown(ap) for ap in row.ap)) for row in classes]
    rows.append(("mean", f"{numbers.counts.boxes:,}", f"{numbers.counts.detections:,}", *(shown(ap) for ap in numbers.values)))
    legend = _legend(row.boxes for row in classes)
    return f"Pascal VOC average precision, {numbers.rule}\n{table(rows, header, set(header[1:]))}{note}{legend}"


def _most_frequent(classes: Sequence[C]) -> tuple[Sequence[C], str]:
    """Return the classes to list, all or of many those with the most boxes, and a line about the others."""
    if len(classes) <= MOST_ROWS:
        return classes, ""
    frequent = sorted(range(len(classes)), key=lambda index: -classes[index].boxes)[:ROWS_OF_MANY]
    return [classes[index] for index in sorted(frequent)], f"\nand {len(classes) - ROWS_OF_MANY:,} less frequent classes; --json has them"


def _legend(boxes: Iterable[int]) -> str:
    return "" if all(boxes) else "\n-: no ground truth; the class is not included in the mean"


def counts_text(counts: Counts, ignored: str, skipped_classes: Mapping[str, int]) -> list[str]:
    """Return lines with the number of evaluated images, boxes and detections, and of those left out.

    Args:
        counts: The counts of the evaluation.
        ignored: The name of the ignored objects, such as ``crowds``.
        skipped_classes: Detections of classes that the data does not have, counted by class.
    """
    extra = f", and {counts.ignored:,} ignored {ignored}" if counts.ignored else ""
    lines = [f"{count(counts.images, 'image')}, {count(counts.boxes, 'box', 'boxes')}{extra}; {count(counts.detections, 'detection')}"]
    lines += [f"left out: {number:,} {reason}" for reason, number in counts.left_out.items()]
    if skipped_classes:
        by_count = sorted(skipped_classes.items(), key=lambda item: -item[1])
        listed = ", ".join(f"{printable(name, LONGEST_CELL)} {number:,}" for name, number in by_count[:_MAX_ROWS])
        lines[-1] += f" ({listed}{f', and {len(by_count) - _MAX_ROWS} more classes' if len(by_count) > _MAX_ROWS else ''})"
    return lines


def against_text(other: str, rows: Sequence[Difference]) -> str:
    """Return the differences from another detector, with their confidence intervals."""
    header = ("metric", "this", "other", "difference", "95 % interval", "")
    lines = [
        (
            row.name,
            shown(row.own),
            shown(row.other),
            f"{row.value:+.3f}",
            f"{row.low:+.3f} to {row.high:+.3f}",
            "" if row.is_significant else "not significant",
        )
        for row in rows
    ]
    pointer = "to compare more detectors, with a report: detkit compare A B --data PATH"
    return f"against {other}, {RESAMPLES:,} bootstrap resamples of the images\n{table(lines, header, set(header[1:-1]))}\n{pointer}"


def details_text(details: Details) -> str:
    """Return the best operating points, the kinds of error, the confusions and the worst images."""
    header = ("class", "score", "precision", "recall", "F1")
    overall, *of_classes = details.operating_points
    listed = of_classes if len(of_classes) <= MOST_ROWS else of_classes[:ROWS_OF_MANY]
    points = table([_operating_point_row(point) for point in (overall, *listed)], header, set(header[1:]))
    parts = ["best minimum score, by F1 at IoU .5", points]
    if len(listed) < len(of_classes):
        parts.append(f"and {len(of_classes) - len(listed):,} more classes; --json has them")
    rows = [(kind, f"{number:,}", shown(loss), ERRORS[kind]) for kind, (number, loss) in details.errors.items()]
    parts += ["", "kinds of error (TIDE) and the AP50 that each costs", table(rows, ("error", "count", "AP50", ""), {"count", "AP50"})]
    score = details.operating_points[0].score
    if details.confusions:
        confusions = table(details.confusions[:_MAX_ROWS], ("ground truth", "detected as", "count"), {"count"})
        parts += ["", f"confused classes, at scores of at least {shown(score)}", confusions]
    if details.worst:
        worst = [(row.image, row.right, row.wrong, row.missed) for row in details.worst]
        columns = ("image", "right", "wrong", "missed")
        parts += ["", f"images with the most errors, at scores of at least {shown(score)}", table(worst, columns, set(columns[1:]))]
    return "\n".join(parts)


def _operating_point_row(point: OperatingPoint) -> tuple[str, ...]:
    return point.name, shown(point.score), shown(point.precision), shown(point.recall), shown(point.f1)
