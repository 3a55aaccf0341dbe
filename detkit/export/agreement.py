"""Whether an exported file says what the detector says that it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from detkit.export.graph import Graph
from detkit.inference.exported import load_exported
from detkit.inference.image_like import ImageLike
from detkit.inference.predictor import Predictor
from detkit.structures import Detections

SCORE, BOX = 1e-3, 0.1
"""Largest differences that pass: of a score, and of a box's side in pixels."""
_SHOWN = 0.05
"""Boxes of places that score less are not compared: nobody sees them."""
_SAME = 1.0
"""A detection is found again where no side is farther off, in pixels of the image."""


@dataclass(frozen=True)
class Agreement:
    """The largest differences on some images.

    Attributes:
        images: How many.
        score: Of any score of any place.
        box: Of any side of a box whose place scores more than .05, in pixels of the resized image.
        detections: The detector's own, above .05.
        matched: Those which the file gives too: of the same class, no side farther off than a pixel.
    """

    images: int
    score: float
    box: float
    detections: int
    matched: int

    @property
    def holds(self) -> bool:
        """Whether no difference is larger than rounding makes it."""
        return self.score <= SCORE and self.box <= BOX


@torch.no_grad()
def compare(predictor: Predictor, path: str, images: Sequence[ImageLike]) -> Agreement:
    """Run both on the same images.

    Args:
        predictor: The detector itself, in float32.
        path: The file that was made from it.
        images: Better of several shapes.
    """
    exported, graph = load_exported(path), Graph(predictor.detector)  # type: ignore[arg-type]
    scores = boxes = 0.0
    counted = matched = 0
    for image in images:
        batch = exported.detector.prepare([exported.prepare(image).image])
        found = exported.detector.raw(batch)
        expected = graph(batch.images)
        scores = max(scores, float((found[0] - expected[0]).abs().max()))
        shown = expected[0].amax(-1) > _SHOWN
        boxes = max(boxes, _largest(found[1][shown] - expected[1][shown]))
        ours, theirs = predictor(image), exported(image)
        ours = ours[ours.scores > _SHOWN]
        counted += len(ours)
        matched += _matched(ours, theirs)
    return Agreement(len(images), scores, boxes, counted, matched)


def _largest(differences: Tensor) -> float:
    return float(differences.abs().max()) if len(differences) else 0.0


def _matched(ours: Detections, theirs: Detections) -> int:
    near = (ours.boxes[:, None] - theirs.boxes).abs().amax(-1) <= _SAME
    same = near & (ours.labels[:, None] == theirs.labels)
    return int(same.any(1).sum())
