"""Boxes that a model's input size, anchors or grid cells, or its number of detections cannot meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from detkit.data import DetectionData
from detkit.data.checks.findings import Finding, Rule, Severity
from detkit.data.tiles import TileConfig, as_tiles
from detkit.diagnostics.anchor_recall import best_anchor_ious
from detkit.diagnostics.cell_recall import unassigned_objects
from detkit.diagnostics.input_sizes import ACCEPTED_SHARE, SMALL_SIDE, larger_input, resized_sides
from detkit.diagnostics.model_limits import too_many_objects
from detkit.models.detector import Detector, DetectorConfig

SMALL_AT_INPUT = Rule(
    "small_at_input",
    Severity.WARNING,
    f"boxes smaller than {SMALL_SIDE:g} pixels at the input of the model, where most are missed",
    "train on tiles of the images (data.tiles), or use a model with a larger input",
)
ANCHOR_MISS = Rule(
    "anchor_miss",
    Severity.WARNING,
    "boxes that no anchor of the model overlaps by an IoU of .3",
    "set anchors of these sizes and shapes, or use a model without anchors",
)
CELL_MISS = Rule(
    "cell_miss",
    Severity.WARNING,
    "objects that share a cell of the model's grid with another one, so that they are not learned",
    "use a model with more cells, or another kind of model",
)
MISSED_SHARE = 0.1
"""Fraction of the boxes of a part above which those without an anchor are reported; of COCO's boxes, FPN's anchors miss 5 %."""
_ANCHOR_IOU = 0.3


def model_findings(config: DetectorConfig, parts: Mapping[str, DetectionData], tiles: TileConfig | None = None) -> Iterator[Finding]:
    """Build a model, with random weights, and find what it cannot meet in whole images, or in ``tiles`` of them."""
    classes = len(next(iter(parts.values())).class_names)
    detector = config.build(classes)
    for part, whole in parts.items():
        if not whole.is_classification:
            data = whole if tiles is None else as_tiles(whole, tiles)
            yield from too_many_objects(config, part, data)
            yield from _small(config, part, data)
            yield from _anchors(detector, config, part, data)
            yield from _cells(detector, config, part, data)


def _small(config: DetectorConfig, part: str, data: DetectionData) -> Iterator[Finding]:
    sides = resized_sides(data, config.preprocess)
    boxes = np.flatnonzero((sides < SMALL_SIDE) & ~data.records.is_crowd)
    if len(boxes) <= ACCEPTED_SHARE * len(sides):
        return
    larger = larger_input(data, config.preprocess)
    rule = SMALL_AT_INPUT
    if larger is not None:
        preprocess, sizes = larger
        sides_key = f"short_side={preprocess.short_side} model.preprocess.long_side={preprocess.long_side}"
        key = sides_key if preprocess.input_size is None else f"input_size={list(preprocess.input_size)}"
        rule = replace(rule, advice=f"model.preprocess.{key} leaves {100 * sizes.small:.1f} %; or train on tiles (data.tiles)")
    yield Finding.of_boxes(rule, part, data, boxes, details=lambda case: f"{sides[boxes[case]]:.1f} pixels")


def _anchors(detector: Detector, config: DetectorConfig, part: str, data: DetectionData) -> Iterator[Finding]:
    ious = best_anchor_ious(detector, config.preprocess, data)
    if ious is None:
        return
    boxes = np.flatnonzero((ious < _ANCHOR_IOU) & ~data.records.is_crowd)
    if len(boxes) > MISSED_SHARE * len(ious):
        yield Finding.of_boxes(ANCHOR_MISS, part, data, boxes, details=lambda case: f"best IoU {ious[boxes[case]]:.2f}")


def _cells(detector: Detector, config: DetectorConfig, part: str, data: DetectionData) -> Iterator[Finding]:
    missed = unassigned_objects(detector, config.preprocess, data)
    if missed is None or not len(missed):
        return
    yield Finding.of_boxes(CELL_MISS, part, data, missed)
