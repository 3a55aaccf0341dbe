"""Evaluate detections against ground truth with the COCO and Pascal VOC metrics, from memory or from files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.evaluation.coco import evaluate_coco
from detkit.evaluation.files import evaluate_coco_files, evaluate_voc_files
from detkit.evaluation.numbers import COCO_NAMES, CocoClass, CocoNumbers, Counts, VocClass, VocNumbers
from detkit.evaluation.voc import evaluate_voc
from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.evaluation.evaluator import Evaluator

__all__ = [
    "COCO_NAMES",
    "CocoClass",
    "CocoNumbers",
    "Counts",
    "Evaluator",
    "VocClass",
    "VocNumbers",
    "evaluate_coco",
    "evaluate_coco_files",
    "evaluate_voc",
    "evaluate_voc_files",
]


# Imported on first use: the evaluator needs torch, evaluating two files does not.
__getattr__ = lazy_getattr(__name__, {".evaluator": ("Evaluator",)})
