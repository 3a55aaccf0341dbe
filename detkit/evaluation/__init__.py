"""Judging detections against ground truth: COCO's numbers and Pascal VOC's, from memory or from files."""

from detkit.evaluation.coco import evaluate_coco
from detkit.evaluation.numbers import COCO_NAMES, CocoClass, CocoNumbers, Counts, VocClass, VocNumbers
from detkit.evaluation.voc import evaluate_voc

__all__ = ["COCO_NAMES", "CocoClass", "CocoNumbers", "Counts", "VocClass", "VocNumbers", "evaluate_coco", "evaluate_voc"]
