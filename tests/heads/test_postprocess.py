from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from detkit.config import ConfigError
from detkit.heads.postprocess import PostprocessConfig
from detkit.heads.region.classifier import RegionConfig

BOXES = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 8], [50.0, 50, 60, 60]])
TABLE = torch.tensor([[0.9, 0.01], [0.3, 0.8], [0.02, 0.6]])


def test_default_is_hard_nms_per_class() -> None:
    boxes, selection = PostprocessConfig().select(BOXES, TABLE)
    assert list(zip(selection.rows.tolist(), selection.labels.tolist(), strict=True)) == [(0, 0), (1, 1), (2, 1)]
    assert torch.equal(boxes, BOXES)


def test_class_agnostic() -> None:
    selection = PostprocessConfig(class_agnostic=True).select(BOXES, TABLE)[1]
    assert selection.rows.tolist() == [0, 2]


def test_soft_nms() -> None:
    selection = PostprocessConfig(nms="linear").select(BOXES, TABLE)[1]
    assert_close(selection.scores, torch.tensor([0.9, 0.8, 0.6, 0.3 * 0.2]))
    assert len(PostprocessConfig(nms="linear", max_detections=2).select(BOXES, TABLE)[1]) == 2


def test_region_config_has_postprocess_keys() -> None:
    config = RegionConfig(min_score=0.1, nms_iou=0.4, max_detections=7, nms="gaussian", class_agnostic=True)
    assert (config.pre_nms_top_k, config.max_detections) == (None, 7)
    defaults = RegionConfig()
    assert (defaults.min_score, defaults.nms_iou, defaults.max_detections, defaults.nms) == (0.05, 0.5, 100, "hard")
    assert RegionConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nms": "soft"}, "nms: expected 'hard', 'linear' or 'gaussian', got 'soft'"),
        ({"sigma": 0.0}, "sigma"),
        ({"nms_iou": 1.5}, "nms_iou"),
    ],
)
def test_invalid_values_are_rejected(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PostprocessConfig(**values)  # type: ignore[arg-type]
