"""Outputs of exported files, and how they become detections, by their kind in the file's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from detkit.arrays import Floats, Integers, Size
from detkit.heads.postprocess import PostprocessConfig
from detkit.inference.exported.metadata import ExportMetadata, OutputKind
from detkit.ops.select_arrays import select_arrays
from detkit.structures.detection import DetectionArrays

IMAGES, SIZES = "images", "sizes"
"""Inputs of a file: the images, and the height and width of each before it was padded, which only ``detections`` need."""
PROPOSALS, PROPOSAL_COUNTS = "proposals", "proposal_counts"
"""Inputs of detectors that take proposals: boxes ``(B, P, 4)`` in pixels of the images, and the number of each image ``(B,)``; those after
it are padding."""
MASKS = "mask_probabilities"
"""Last output of the ``detections`` of a detector with masks: ``(B, d, M, M)``, the probability that each cell of a grid over the box
belongs to the object, for the first d detections, which are the most of any image of the batch."""
PROBABILITIES = "probabilities"
"""Output of a model for semantic segmentation: ``(B, K, H, W)``, the probability of each class in every pixel of the input."""
OUTPUTS: Mapping[OutputKind, tuple[str, ...]] = {
    "detections": ("boxes", "scores", "labels", "counts"),
    "locations": ("scores", "boxes", "levels"),
    "classes": ("scores",),
    "pixels": (PROBABILITIES,),
}
"""The outputs of each kind, in the order of the file.

``detections``: the detections of each image, best first, padded to the most of any image: ``boxes (B, D, 4)`` clipped to the image,
``scores (B, D)``, ``labels (B, D)``, and their number ``counts (B,)``. ``locations``: ``scores (B, N, K)`` and ``boxes (B, N, 4)`` at
every location, and the number of locations of each level ``levels (L,)``. ``classes``: ``scores (B, K)`` of whole images. ``pixels``: see
:data:`PROBABILITIES`. Boxes are ``x1 y1 x2 y2`` in pixels of the input."""

Outputs = dict[str, Any]


def output_names(metadata: ExportMetadata) -> tuple[str, ...]:
    """Return the names of the outputs of a file, in its order; a file for one size of images need not return its levels."""
    names = OUTPUTS[metadata.outputs] + (() if metadata.mask_side is None else (MASKS,))
    return names if metadata.levels is None else tuple(name for name in names if name != "levels")


def detections_of(kind: OutputKind, outputs: Outputs, image: int, size: Size, rules: PostprocessConfig) -> DetectionArrays:
    """Return the detections of one image of a batch, best first, in pixels of the input.

    Args:
        kind: Kind of the outputs.
        outputs: Outputs of the file, by name.
        image: Position of the image in the batch.
        size: Height and width of the image before padding.
        rules: How detections are selected; ``detections`` are only cut at ``max_detections``.
    """
    if kind == "detections":
        return _given(outputs, image, rules.max_detections)
    if kind == "classes":
        return _of_whole_image(outputs["scores"][image], size, rules.max_detections)
    if kind == "pixels":
        return _of_pixels(outputs[PROBABILITIES][image, :, : size[0], : size[1]], size)
    boxes, limits = outputs["boxes"][image], np.array([size[1], size[0], size[1], size[0]], np.float32)
    levels = outputs["levels"].tolist()
    return DetectionArrays(*select_arrays(lambda rows: boxes[rows].clip(0, limits), outputs["scores"][image], levels, rules))


def _given(outputs: Outputs, image: int, limit: int | None) -> DetectionArrays:
    count = int(outputs["counts"][image])
    rows = slice(0, count if limit is None else min(count, limit))
    boxes, scores, labels = (outputs[name][image, rows] for name in ("boxes", "scores", "labels"))
    return DetectionArrays(boxes, scores, labels, mask_probabilities=outputs[MASKS][image, rows] if MASKS in outputs else None)


def _of_whole_image(scores: Floats, size: Size, limit: int | None) -> DetectionArrays:
    """Return the classes as detections of the whole image, most probable first."""
    labels: Integers = np.argsort(-scores, kind="stable")[:limit].astype(np.int64)
    labels = labels[scores[labels] >= 0]
    whole = np.array([[0, 0, size[1], size[0]]], np.float32).repeat(len(labels), 0)
    return DetectionArrays(whole, scores[labels], labels)


def _of_pixels(probabilities: Floats, size: Size) -> DetectionArrays:
    """Return the probabilities ``(K, H, W)`` of the classes as one row for each, over a box of the whole image."""
    count = len(probabilities)
    whole = np.array([[0, 0, size[1], size[0]]], np.float32).repeat(count, 0)
    return DetectionArrays(whole, probabilities.max((1, 2)), np.arange(count, dtype=np.int64), mask_probabilities=probabilities)
