"""Comparison of the outputs of an exported file and its detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from detkit.export.graph import Graph
from detkit.inference.exported.onnx import OnnxRuntime
from detkit.inference.image_like import ImageLike
from detkit.inference.predictor import Predictor
from detkit.structures import Detections

MAX_SCORE_DIFFERENCE, MAX_BOX_DIFFERENCE = 1e-3, 0.1
"""Maximum accepted differences of a score, and of a box coordinate in pixels."""
_MIN_SCORE = 0.05
"""Boxes with a lower score are not compared, as they are not shown to users."""
_MATCH_DISTANCE = 1.0
"""Detections match if no box coordinate differs by more than this number of pixels."""


@dataclass(frozen=True)
class Agreement:
    """Maximum differences over some images.

    Attributes:
        images: Number of images.
        score: Maximum difference of any score.
        box: Maximum difference of a coordinate, over boxes with a score above .05, in pixels of the resized image.
        detections: Number of detections of the detector with a score above .05.
        matched: Number of these that the file also gives: same class, no coordinate farther off than one pixel.
    """

    images: int
    score: float
    box: float
    detections: int
    matched: int

    @property
    def holds(self) -> bool:
        """Whether all differences are within rounding."""
        return self.score <= MAX_SCORE_DIFFERENCE and self.box <= MAX_BOX_DIFFERENCE


@torch.no_grad()
def compare(predictor: Predictor, path: str, images: Sequence[ImageLike]) -> Agreement:
    """Compare a detector and its exported file on the same images.

    Args:
        predictor: The detector, in float32.
        path: The file exported from it.
        images: Images to compare on, preferably of several shapes.
    """
    runtime, graph = OnnxRuntime.open(Path(path)), Graph(predictor.detector)
    exported = Predictor.over(runtime)
    scores = boxes = 0.0
    counted = matched = 0
    for image in images:
        batch = runtime.stack([exported.prepare(image).image.numpy()])
        actual = runtime.outputs(batch, np.array([batch.shape[2:]], np.int64))
        expected = graph(torch.from_numpy(batch))
        scores = max(scores, float((torch.from_numpy(actual["scores"]) - expected[0]).abs().max()))
        shown = expected[0].amax(-1) > _MIN_SCORE
        boxes = max(boxes, _largest(torch.from_numpy(actual["boxes"])[shown] - expected[1][shown]))
        own, other = predictor(image), exported(image)
        own = own[own.scores > _MIN_SCORE]
        counted += len(own)
        matched += _matched(own, other)
    return Agreement(len(images), scores, boxes, counted, matched)


def _largest(differences: Tensor) -> float:
    return float(differences.abs().max()) if len(differences) else 0.0


def _matched(own: Detections, other: Detections) -> int:
    near = (own.boxes[:, None] - other.boxes).abs().amax(-1) <= _MATCH_DISTANCE
    matches = near & (own.labels[:, None] == other.labels)
    return int(matches.any(1).sum())
