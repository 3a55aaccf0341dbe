"""Comparison of the detections of an exported file with those of its detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from detkit.arrays import Integers
from detkit.export.graph import OneStageLocations
from detkit.export.graphs import graph_of
from detkit.inference.exported.runtime import ExportedRuntime
from detkit.inference.image_like import ImageLike
from detkit.inference.predictor import Predictor
from detkit.inference.runtime import FileRuntime, file_runtime
from detkit.preprocess import PreparedImage
from detkit.structures.detection import DetectionArrays


@dataclass(frozen=True)
class Tolerance:
    """Differences up to which a file agrees with its detector.

    Attributes:
        score: Maximum difference of a score.
        box: Maximum difference of a box coordinate in pixels of the resized image.
        matched: Fraction of the detections that the file must find again: where two scores, or an overlap and a threshold, are equal up to
            rounding, the one or the other box is kept.
        mask: Maximum of the mean difference, over the cells of a mask, of the probabilities.
    """

    score: float
    box: float
    matched: float
    mask: float = 1.0


TOLERANCES = {
    "fp32": Tolerance(1e-3, 0.1, 0.99, 2e-3),
    "fp16": Tolerance(0.02, 1.0, 0.97, 0.02),
    "int8": Tolerance(0.2, 8.0, 0.85, 0.2),
}
"""Tolerance for files of each precision."""
_MIN_SCORE = 0.05
"""Boxes with a lower score are not compared, as they are not shown to users."""
_MATCH = Tolerance(0.05, 1.0, 0.0)
"""Detections match if neither the score nor a box coordinate differs by more, or than the tolerance if that is larger."""


@dataclass(frozen=True)
class Agreement:
    """Maximum differences over some images.

    Attributes:
        images: Number of images.
        score: Maximum difference of a score.
        box: Maximum difference of a coordinate, over boxes with a score above .05, in pixels of the resized image.
        detections: Number of detections of the detector with a score above .05.
        matched: Number of these that the file also gives: same class, no coordinate farther off than one pixel, no score by more
            than .05, or than the tolerance.
        tolerance: Differences that are accepted.
        kept: Of an int8 file, the layers that stay in float32.
        speedup: Of an int8 file, the time of the float32 file divided by its own, on this processor.
        mask: Maximum, over the detections that match, of the mean difference of the probabilities of a mask; None: there are no masks.
    """

    images: int
    score: float
    box: float
    detections: int
    matched: int
    tolerance: Tolerance = TOLERANCES["fp32"]
    kept: tuple[str, ...] = ()
    speedup: float | None = None
    mask: float | None = None

    @property
    def holds(self) -> bool:
        """Whether all differences are within the tolerance."""
        limits = self.tolerance
        same_masks = self.mask is None or self.mask <= limits.mask
        return same_masks and self.score <= limits.score and self.box <= limits.box and self.matched >= limits.matched * self.detections

    def __str__(self) -> str:
        limits = self.tolerance
        numbers = f"{self.matched} of {self.detections} detections are found again (expected at least {limits.matched:.0%})"
        scores = f"scores differ by up to {self.score:.2g} (expected at most {limits.score:g})"
        masks = "" if self.mask is None else f", masks by up to {self.mask:.2g} (expected at most {limits.mask:g})"
        return f"{numbers}, {scores}, boxes by up to {self.box:.2g} pixels (expected at most {limits.box:g}){masks}"


@torch.no_grad()
def compare(predictor: Predictor, exported: FileRuntime | str | Path, images: Sequence[ImageLike]) -> Agreement:
    """Compare a detector and its exported file on the same images.

    Args:
        predictor: The detector, in float32.
        exported: The file exported from it, or a runtime that has opened it.
        images: Images to compare on, preferably of several shapes.
    """
    runtime = file_runtime(exported).open(Path(exported)) if isinstance(exported, str | Path) else exported
    tolerance = TOLERANCES[runtime.info.precision]
    match = Tolerance(max(_MATCH.score, tolerance.score), max(_MATCH.box, tolerance.box), 0.0)
    parts = [_compare_one(predictor, runtime, image, match) for image in images]
    score, box, mask = (max((part.differences[column] for part in parts), default=0.0) for column in range(3))
    found, matched = sum(part.detections for part in parts), sum(part.matched for part in parts)
    masks = mask if any(part.has_masks for part in parts) else None
    return Agreement(len(images), score, box, found, matched, tolerance, mask=masks)


class _Part(NamedTuple):
    """The comparison of one image: the largest differences of scores, boxes and masks, and the numbers of detections."""

    differences: tuple[float, float, float]
    detections: int
    matched: int
    has_masks: bool


def _compare_one(predictor: Predictor, runtime: FileRuntime, image: ImageLike, match: Tolerance) -> _Part:
    prepared = predictor.prepare(image)
    own = predictor.runtime.detect([prepared])[0].numpy()
    other = runtime.detect([prepared])[0].numpy()
    own = own[own.scores > _MIN_SCORE][: runtime.info.max_detections]
    pairs = _match(own, other, match)
    score, box = _largest(own, other, pairs)
    if isinstance(runtime, ExportedRuntime) and runtime.metadata_entry.outputs == "locations":
        score, box = _at_locations(predictor, runtime, prepared)
    masks = own.mask_probabilities is not None
    return _Part((score, box, _mask_difference(own, other, pairs)), len(own), len(pairs[0]), masks)


def _match(own: DetectionArrays, other: DetectionArrays, match: Tolerance) -> tuple[Integers, Integers]:
    """Match each detection with the one of its class that is nearest in box and score; return the rows of both, pair by pair."""
    if not len(own) or not len(other):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    distances = np.abs(own.boxes[:, None] - other.boxes).max(-1)
    differences = np.abs(own.scores[:, None] - other.scores)
    near = (distances <= match.box) & (differences <= match.score) & (own.labels[:, None] == other.labels)
    nearest = np.where(near, distances + differences, np.inf).argmin(1)
    rows = np.flatnonzero(near.any(1))
    return rows, nearest[rows]


def _largest(own: DetectionArrays, other: DetectionArrays, pairs: tuple[Integers, Integers]) -> tuple[float, float]:
    """Return the largest differences of the scores and boxes of pairs."""
    scores, boxes = np.abs(own.scores[pairs[0]] - other.scores[pairs[1]]), np.abs(own.boxes[pairs[0]] - other.boxes[pairs[1]])
    return float(scores.max(initial=0.0)), float(boxes.max(initial=0.0))


def _mask_difference(own: DetectionArrays, other: DetectionArrays, pairs: tuple[Integers, Integers]) -> float:
    """Return the largest mean difference of the masks of pairs; 1 if only one of both has masks."""
    first, second = own.mask_probabilities, other.mask_probabilities
    if first is None or second is None:
        return float((first is None) != (second is None))
    return float(np.abs(first[pairs[0]] - second[pairs[1]]).mean((1, 2)).max(initial=0.0))


def _at_locations(predictor: Predictor, runtime: ExportedRuntime, image: PreparedImage) -> tuple[float, float]:
    """Return the largest difference of any score, and of the boxes of all that score enough."""
    graph = graph_of(predictor.detector, OneStageLocations.kind)
    actual = runtime.outputs([image])
    scores, boxes, _ = graph(torch.from_numpy(runtime.stack([image.image.cpu().numpy()])))
    shown = scores.amax(-1) > _MIN_SCORE
    differences = (torch.from_numpy(actual["boxes"])[shown] - boxes[shown]).abs()
    largest = float(differences.max()) if len(differences) else 0.0
    return float((torch.from_numpy(actual["scores"]) - scores).abs().max()), largest
