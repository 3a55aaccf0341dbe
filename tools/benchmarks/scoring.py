"""Evaluation compared with pycocotools, and postprocessing compared with torchvision's RetinaNet."""

from __future__ import annotations

import contextlib
import io
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import Report, in_turn


def evaluate(rounds: int, images: int, detections: int) -> Report:
    """Time the 12 COCO metrics from two JSON files."""
    from detkit.evaluation.files import evaluate_coco_files
    from detkit.evaluation.synthetic import write_synthetic_coco

    with tempfile.TemporaryDirectory() as folder:
        files = write_synthetic_coco(folder, images, detections)
        sides = {"pycocotools": partial(_pycocotools, *files), "detkit": partial(evaluate_coco_files, *files)}
        reference, own = _pycocotools(*files), evaluate_coco_files(*files)
        seconds = in_turn(sides, rounds, warm_up=0)
    difference = float(np.abs(reference - np.array(list(own.values.values()))).max())
    return Report(
        f"COCO evaluation of {images:,} images with {detections:,} detections, from JSON files",
        seconds,
        {"detkit": 40.0},
        [f"largest difference of the 12 metrics: {difference:.1e}"],
        {"largest_difference": difference},
    )


def select(rounds: int, box_count: int, classes: int) -> Report:
    """Time the selection of up to 300 detections from the scores of many boxes, as in torchvision's RetinaNet."""
    from detkit.ops.select import select as own_select

    generator = torch.Generator().manual_seed(0)
    scores = torch.rand((box_count, classes), generator=generator) ** 8
    corners = torch.rand((box_count, 2), generator=generator) * 900
    boxes = torch.cat([corners, corners + torch.rand((box_count, 2), generator=generator) * 120 + 8], 1)
    limits = {"min_score": 0.05, "pre_nms_top_k": 1000, "nms_iou": 0.5, "max_detections": 300}
    sides = {
        "torchvision's RetinaNet": partial(_retinanet, boxes, scores),
        "detkit": lambda: own_select(boxes, scores, **limits),  # type: ignore[arg-type]
    }
    return Report(f"selection from {box_count:,} boxes with {classes} classes", in_turn(sides, rounds), {"detkit": 2.0})


def _pycocotools(annotations: Path, results: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluation = COCOeval(truth, truth.loadRes(str(results)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.asarray(evaluation.stats[:12])


def _retinanet(boxes: Tensor, scores: Tensor) -> object:
    """Do what ``RetinaNet.postprocess_detections`` does after decoding, on one level."""
    from torchvision.ops import batched_nms

    flat = scores.flatten()
    keep = flat > 0.05
    flat, indices = flat[keep], torch.where(keep)[0]
    flat, best = flat.topk(min(1000, len(flat)))
    indices = indices[best]
    rows, labels = torch.div(indices, scores.shape[1], rounding_mode="floor"), indices % scores.shape[1]
    return rows[batched_nms(boxes[rows], flat, labels, 0.5)[:300]]
