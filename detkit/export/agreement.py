"""Comparison of the detections of an exported file with those of its detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

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
    """

    score: float
    box: float
    matched: float


TOLERANCES = {"fp32": Tolerance(1e-3, 0.1, 0.99), "fp16": Tolerance(0.02, 1.0, 0.97), "int8": Tolerance(0.2, 8.0, 0.85)}
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
    """

    images: int
    score: float
    box: float
    detections: int
    matched: int
    tolerance: Tolerance = TOLERANCES["fp32"]
    kept: tuple[str, ...] = ()
    speedup: float | None = None

    @property
    def holds(self) -> bool:
        """Whether all differences are within the tolerance."""
        limits = self.tolerance
        return self.score <= limits.score and self.box <= limits.box and self.matched >= limits.matched * self.detections

    def __str__(self) -> str:
        limits = self.tolerance
        numbers = f"{self.matched} of {self.detections} detections are found again (expected at least {limits.matched:.0%})"
        scores = f"scores differ by up to {self.score:.2g} (expected at most {limits.score:g})"
        return f"{numbers}, {scores}, boxes by up to {self.box:.2g} pixels (expected at most {limits.box:g})"


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
    highest = [max((part[column] for part in parts), default=0.0) for column in range(2)]
    counts = [sum(int(part[column]) for part in parts) for column in (2, 3)]
    return Agreement(len(images), highest[0], highest[1], counts[0], counts[1], tolerance)


def _compare_one(predictor: Predictor, runtime: FileRuntime, image: ImageLike, match: Tolerance) -> tuple[float, float, int, int]:
    """Return the largest differences of scores and boxes, and the numbers of detections and of those found again."""
    prepared = predictor.prepare(image)
    own = predictor.runtime.detect([prepared])[0].numpy()
    other = runtime.detect([prepared])[0].numpy()
    own = own[own.scores > _MIN_SCORE][: runtime.info.max_detections]
    score, box, matched = _match(own, other, match)
    if isinstance(runtime, ExportedRuntime) and runtime.metadata_entry.outputs == "locations":
        score, box = _at_locations(predictor, runtime, prepared)
    return score, box, len(own), matched


def _match(own: DetectionArrays, other: DetectionArrays, match: Tolerance) -> tuple[float, float, int]:
    """Match each detection with the one of its class that is nearest in box and score; return the differences and the matches."""
    if not len(own) or not len(other):
        return 0.0, 0.0, 0
    distances = np.abs(own.boxes[:, None] - other.boxes).max(-1)
    differences = np.abs(own.scores[:, None] - other.scores)
    near = (distances <= match.box) & (differences <= match.score) & (own.labels[:, None] == other.labels)
    nearest = np.where(near, distances + differences, np.inf).argmin(1)
    rows = np.flatnonzero(near.any(1))
    if not len(rows):
        return 0.0, 0.0, 0
    return float(differences[rows, nearest[rows]].max()), float(distances[rows, nearest[rows]].max()), len(rows)


def _at_locations(predictor: Predictor, runtime: ExportedRuntime, image: PreparedImage) -> tuple[float, float]:
    """Return the largest difference of any score, and of the boxes of all that score enough."""
    graph = graph_of(predictor.detector, OneStageLocations.kind)
    actual = runtime.outputs([image])
    scores, boxes, _ = graph(torch.from_numpy(runtime.stack([image.image.cpu().numpy()])))
    shown = scores.amax(-1) > _MIN_SCORE
    differences = (torch.from_numpy(actual["boxes"])[shown] - boxes[shown]).abs()
    largest = float(differences.max()) if len(differences) else 0.0
    return float((torch.from_numpy(actual["scores"]) - scores).abs().max()), largest
