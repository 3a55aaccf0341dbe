"""How often the 95 % intervals of AP hold the AP of infinitely many images, which is computed for these scenes without sampling.

python tests/evaluation/analysis/interval_coverage.py IMAGES SCENES RESAMPLES
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from detkit.evaluation.analysis.intervals import Intervals, metric_intervals
from detkit.evaluation.ground_truth import GroundTruth

CLASSES = (0.6, 0.3, 0.1)
"""Parts of the objects of each class; false alarms are of each class equally often."""
SIDES = (20.0, 60.0, 150.0)
"""Sides of the objects, each equally frequent: small, medium and large."""
IOUS = (0.97, 0.93, 0.88, 0.82, 0.72, 0.4)
"""IoU of a detection with its object, each equally frequent and independent of its score."""
THRESHOLDS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True)
class Kind:
    """Half of the images: mean numbers of objects and false alarms, part of the objects that is detected, mean logits of both."""

    objects: float
    false_alarms: float
    detected: float
    logit: float
    false_logit: float


EASY, HARD = Kind(3.0, 2.0, 0.95, 1.5, -1.5), Kind(6.0, 6.0, 0.75, 0.7, -1.0)


def true_values() -> dict[str, float]:
    """Return AP, AP50, AP75 and the AP of each class of infinitely many images."""
    by_class = np.array([[_average_precision(part, threshold) for threshold in THRESHOLDS] for part in CLASSES])
    values = {"AP": by_class.mean(), "AP50": by_class[:, 0].mean(), "AP75": by_class[:, 5].mean()}
    values |= dict.fromkeys(("APs", "APm", "APl"), values["AP"])  # detections are as good and as frequent at all sizes
    return {name: float(value) for name, value in {**values, **dict(zip("012", by_class.mean(1), strict=True))}.items()}


def _average_precision(part: float, threshold: float) -> float:
    logits = np.linspace(8, -8, 40_001)
    precise = np.mean([iou >= threshold for iou in IOUS])
    correct, wrong, objects = np.zeros(len(logits)), np.zeros(len(logits)), 0.0
    for kind in (EASY, HARD):
        detected = kind.objects * part * kind.detected * norm.cdf(kind.logit - logits)
        correct += detected * precise
        wrong += detected * (1 - precise) + kind.false_alarms / len(CLASSES) * norm.cdf(kind.false_logit - logits)
        objects += kind.objects * part
    recall, precision = correct / objects, correct / (correct + wrong)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.mean([highest[np.searchsorted(recall, level)] if level <= recall[-1] else 0.0 for level in np.linspace(0, 1, 101)]))


def scene(images: int, rng: np.random.Generator) -> tuple[GroundTruth, Any]:
    """Return random images and the detections on them."""
    rows: list[tuple[int, int, list[float]]] = []
    parts = []
    easy = rng.random(images) < 0.5
    for kind, chosen in ((EASY, np.flatnonzero(easy)), (HARD, np.flatnonzero(~easy))):
        image = np.repeat(chosen, rng.poisson(kind.objects, len(chosen)))
        side, label = rng.choice(SIDES, len(image)), rng.choice(len(CLASSES), len(image), p=CLASSES)
        boxes = np.column_stack([1000.0 * np.arange(len(image)), np.zeros(len(image)), side, side])  # far from one another
        rows += zip(image.tolist(), label.tolist(), boxes.tolist(), strict=True)
        iou = rng.choice(IOUS, len(image))
        boxes[:, 0] += side * (1 - iou) / (1 + iou)
        logit = rng.normal(kind.logit, 1, len(image))
        parts.append(np.column_stack([image, boxes, logit, label])[rng.random(len(image)) < kind.detected])
        image = np.repeat(chosen, rng.poisson(kind.false_alarms, len(chosen)))
        side = rng.choice(SIDES, len(image))
        boxes = np.column_stack([np.zeros(len(image)), np.full(len(image), 1e6), side, side])
        parts.append(np.column_stack([image, boxes, rng.normal(kind.false_logit, 1, len(image)), rng.integers(0, 3, len(image))]))
    annotations = [
        {"id": number, "image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3], "iscrowd": 0, "difficult": 0}
        for number, (image, label, box) in enumerate(rows, 1)
    ]
    return GroundTruth("scene", tuple(range(images)), {0: "0", 1: "1", 2: "2"}, annotations), np.concatenate(parts)


def coverage(images: int, scenes: int, resamples: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return the parts of the scenes whose interval lies above the true value, and below it."""
    truths, rng = true_values(), np.random.default_rng(seed)
    missed = {name: [0, 0] for name in truths}
    for number in range(scenes):
        found = _named(metric_intervals(*scene(images, rng), resamples=resamples, seed=number))
        for name, value in truths.items():
            missed[name][0] += value < found[name].low
            missed[name][1] += value > found[name].high
    return {name: (above / scenes, below / scenes) for name, (above, below) in missed.items()}


def _named(intervals: Intervals) -> dict[str, Any]:
    return {**intervals.metrics, **{str(index): interval for index, interval in enumerate(intervals.classes)}}


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    for name, (above, below) in coverage(*numbers).items():
        print(f"{name:5} {100 * (1 - above - below):5.1f} % covered, {100 * above:.1f} % above, {100 * below:.1f} % below")
