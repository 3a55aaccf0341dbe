"""Generated sequences of detections: objects that cross, hide, enter and leave, with missed and false detections."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detkit.structures.detection import DetectionArrays


def rows(boxes: np.ndarray, scores: np.ndarray | None = None, labels: np.ndarray | None = None) -> DetectionArrays:
    """Return detections from boxes ``(N, 4)``."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    scores = np.full(len(boxes), 0.9) if scores is None else scores
    labels = np.zeros(len(boxes)) if labels is None else labels
    return DetectionArrays(boxes, np.asarray(scores, np.float32), np.asarray(labels, np.int64))


def scene(seed: int, frames: int = 120, objects: int = 12, side: float = 400, missed: float = 0.2) -> Iterator[DetectionArrays]:
    """Yield the detections of the frames of one sequence."""
    random = np.random.default_rng(seed)
    first = random.integers(0, frames // 2, objects)
    last = first + random.integers(20, frames, objects)
    centers, speeds = random.uniform(0, side, (objects, 2)), random.normal(0, 6, (objects, 2))
    sizes = random.uniform(20, 60, (objects, 2))
    for frame in range(frames):
        present = np.flatnonzero((first <= frame) & (frame < last))
        centers[present] += speeds[present]
        speeds += random.normal(0, 0.5, speeds.shape)
        seen = present[random.random(len(present)) > missed]
        center = centers[seen] + random.normal(0, 1.5, (len(seen), 2))
        size = sizes[seen] * random.normal(1, 0.03, (len(seen), 2))
        corners = random.random((random.poisson(1), 2)) * side
        false = np.concatenate([corners, corners + 30], axis=1)
        boxes = np.concatenate([np.concatenate([center - size / 2, center + size / 2], axis=1), false])
        scores = np.concatenate([random.uniform(0.2, 1, len(seen)), random.uniform(0.1, 0.8, len(false))])
        order = random.permutation(len(boxes))
        yield rows(boxes[order], scores[order])
