"""Selection in numpy against the selection from tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detkit.heads.postprocess import PostprocessConfig
from detkit.ops.select_arrays import select_arrays

PLAIN = PostprocessConfig(min_score=0.3)
RULES = {
    "plain": PLAIN,
    "low threshold": PLAIN.replace(min_score=0.0, pre_nms_top_k=None, max_detections=None),
    "top-k per class": PLAIN.replace(pre_nms_top_k=None, pre_nms_top_k_per_class=7),
    "few": PLAIN.replace(pre_nms_top_k=20, max_detections=5),
    "all classes": PLAIN.replace(class_agnostic=True),
    "no NMS": PLAIN.replace(nms_iou=None, max_detections=30),
    "linear": PLAIN.replace(nms="linear", nms_iou=0.3),
    "gaussian": PLAIN.replace(nms="gaussian", class_agnostic=True),
    "nothing": PLAIN.replace(min_score=0.99),
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
@pytest.mark.parametrize("classes", [1, 3])
def test_equals_the_selection_from_tensors(rules: PostprocessConfig, classes: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    corners = torch.rand(300, 2, generator=generator) * 80
    boxes = torch.cat((corners, corners + torch.rand(300, 2, generator=generator) * 40), 1)
    boxes[::17, 2:] = boxes[::17, :2]  # without area
    scores = (torch.rand(300, classes, generator=generator) * 50).round() / 51  # many equal scores
    levels = [200, 0, 99, 1]
    expected_boxes, expected = rules.select(boxes, scores, levels)
    actual = select_arrays(lambda rows: boxes.numpy()[rows], scores.numpy(), levels, rules)
    assert (len(expected) == 0) == (rules is RULES["nothing"])
    np.testing.assert_array_equal(actual.boxes, expected_boxes.numpy())
    np.testing.assert_array_equal(actual.scores, expected.scores.numpy())
    np.testing.assert_array_equal(actual.labels, expected.labels.numpy())
    assert (actual.boxes.dtype, actual.scores.dtype, actual.labels.dtype) == (np.float32, np.float32, np.int64)
