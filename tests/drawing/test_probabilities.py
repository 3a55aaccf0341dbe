"""Mask probabilities: colors by probability in each box, the best detection on top."""

from __future__ import annotations

import numpy as np

from detkit.drawing.palette import heat_color
from detkit.drawing.probabilities import draw_mask_probabilities
from detkit.structures.detection import DetectionArrays

IMAGE = np.full((500, 600, 3), 100, np.uint8)


def detections(*boxes: tuple[float, float, float, float]) -> DetectionArrays:
    grids = np.zeros((len(boxes), 4, 4), np.float32)
    grids[:, :, 2:] = 1
    count = len(boxes)
    scores = np.linspace(0.9, 0.5, count).astype(np.float32)
    return DetectionArrays(np.array(boxes, np.float32).reshape(-1, 4), scores, np.zeros(count, np.int64), ("cat",), grids)


def color(probability: float) -> np.ndarray:
    return np.asarray(0.35 * 100 + 0.65 * np.array(heat_color(probability)))


def test_colors_follow_the_probability() -> None:
    drawn = draw_mask_probabilities(IMAGE, detections((100, 100, 300, 300)), ("cat",)).astype(float)
    assert np.abs(drawn[200, 115] - color(0)).max() < 2
    assert np.abs(drawn[200, 285] - color(1)).max() < 2
    assert drawn[400, 400].tolist() == [100] * 3
    assert (IMAGE == 100).all()


def test_the_best_is_on_top_and_boxes_may_leave_the_image() -> None:
    drawn = draw_mask_probabilities(IMAGE, detections((-50, 100, 150, 300), (100, 100, 700, 300), (10, 10, 10, 20)), ("cat",))
    assert np.abs(drawn[200, 130].astype(float) - (0.35 * color(0) + 0.65 * np.array(heat_color(1)))).max() < 3
    assert draw_mask_probabilities(IMAGE, detections(), ("cat",)).tolist() == IMAGE.tolist()
