"""Detections of a trained detector in the fast modes, compared with the reference mode."""

from __future__ import annotations

from itertools import islice
from typing import Any

from torchvision.ops import box_iou

from benchmarks.timing import WITHOUT_BF16, Report, has_bf16
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
MAX_AP_LOSS = {"fp32": 0.001, "bf16": 0.003}
MIN_MATCHED = 0.99
CONFIDENT = 0.5
SAME_IOU = 0.95


def fidelity(checkpoint: str, data: str, split: str | None, limit: int | None = None) -> Report:
    """Report each mode's AP, and how many of the reference's detections above .5 it finds at IoU .95 with the same label."""
    labeled = labeled_data(checkpoint, data, split=split)
    records = list(islice(labeled.records, limit))
    detections, rows, numbers = {}, [], {}
    modes = {mode: options for mode, options in MODES.items() if mode != "bf16" or has_bf16()}
    for mode, options in modes.items():
        predictor = load(checkpoint, "cpu", **options)
        evaluator = Evaluator(labeled, predictor.class_names)
        detections[mode] = [predictor(record.path) for record in records]
        for record, result in zip(records, detections[mode], strict=True):
            evaluator.add(record, result)
        values = evaluator.numbers()
        numbers[mode] = {"AP": values["AP"], "AP50": values["AP50"], "matched": matched(detections["reference"], detections[mode])}
        rows.append((mode, *(f"{value:.4f}" for value in numbers[mode].values()), _verdict(mode, numbers)))
    text = table(rows, ("mode", "AP", "AP50", "matched", "verdict"), {"AP", "AP50", "matched"})
    return Report(
        f"{checkpoint} on {len(records)} images of {labeled.name}",
        notes=[text] if has_bf16() else [text, WITHOUT_BF16],
        numbers={"modes": numbers},
    )


def matched(reference: list[Detections], others: list[Detections]) -> float:
    """Return the fraction of confident detections for which the other list has the same label at the same place."""
    confident = matches = 0
    for expected, rows in zip(reference, others, strict=True):
        expected = expected[expected.scores > CONFIDENT]
        same = (box_iou(expected.boxes, rows.boxes) >= SAME_IOU) & (expected.labels[:, None] == rows.labels)
        confident += len(expected)
        matches += int(same.any(1).sum()) if len(rows) else 0
    return matches / confident if confident else float("nan")


def _verdict(mode: str, numbers: dict[str, dict[str, float]]) -> str:
    if mode not in MAX_AP_LOSS:
        return ""
    loss = numbers["reference"]["AP"] - numbers[mode]["AP"]
    reached = abs(loss) <= MAX_AP_LOSS[mode] and numbers[mode]["matched"] >= MIN_MATCHED
    return f"{'reached' if reached else 'MISSED'} (AP within {MAX_AP_LOSS[mode]}, {MIN_MATCHED:.0%} matched)"
