"""What the fast modes change in the detections of a trained detector."""

from __future__ import annotations

from itertools import islice
from typing import Any

from torchvision.ops import box_iou

from benchmarks.timing import Report
from detkit.cli.report import table
from detkit.evaluation.evaluator import Evaluator
from detkit.experiment.evaluation_run import labeled_data
from detkit.inference import load
from detkit.structures import Detections

MODES: dict[str, dict[str, Any]] = {
    "reference": {"reference": True},
    "fp32": {"precision": "fp32"},
    "bf16": {"precision": "bf16"},
}
MOST_AP_LOST = {"fp32": 0.001, "bf16": 0.003}
LEAST_MATCHED = 0.99
SURE = 0.5
SAME = 0.95


def fidelity(checkpoint: str, data: str, split: str | None, limit: int | None = None) -> Report:
    """AP of each mode, and how many of the reference's detections above .5 each finds again at IoU .95 with the same label."""
    found = labeled_data(checkpoint, data, split=split)
    records = list(islice(found.records, limit))
    detections, rows, numbers = {}, [], {}
    for mode, options in MODES.items():
        predictor = load(checkpoint, "cpu", **options)
        evaluator = Evaluator(found, predictor.class_names)
        detections[mode] = [predictor(record.path) for record in records]
        for record, one in zip(records, detections[mode], strict=True):
            evaluator.add(record, one)
        values = evaluator.numbers()
        numbers[mode] = {"AP": values["AP"], "AP50": values["AP50"], "matched": matched(detections["reference"], detections[mode])}
        rows.append((mode, *(f"{value:.4f}" for value in numbers[mode].values()), _verdict(mode, numbers)))
    text = table(rows, ("mode", "AP", "AP50", "found again", "verdict"), {"AP", "AP50", "found again"})
    return Report(f"{checkpoint} on {len(records)} images of {found.name}", notes=[text], numbers={"modes": numbers})


def matched(reference: list[Detections], others: list[Detections]) -> float:
    """The share of sure detections that have one of the same label on the same place."""
    sure = again = 0
    for wanted, rows in zip(reference, others, strict=True):
        wanted = wanted[wanted.scores > SURE]
        same = (box_iou(wanted.boxes, rows.boxes) >= SAME) & (wanted.labels[:, None] == rows.labels)
        sure += len(wanted)
        again += int(same.any(1).sum()) if len(rows) else 0
    return again / sure if sure else float("nan")


def _verdict(mode: str, numbers: dict[str, dict[str, float]]) -> str:
    if mode not in MOST_AP_LOST:
        return ""
    lost = numbers["reference"]["AP"] - numbers[mode]["AP"]
    kept = abs(lost) <= MOST_AP_LOST[mode] and numbers[mode]["matched"] >= LEAST_MATCHED
    return f"{'kept' if kept else 'MISSED'} (AP within {MOST_AP_LOST[mode]}, {LEAST_MATCHED:.0%} found again)"
