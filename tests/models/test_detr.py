from __future__ import annotations

import pytest
import torch
from backbone_families import smallest_of_each_family

from detkit.backbones import BackboneConfig
from detkit.config import Config
from detkit.heads.queries.detr import DETRHeadConfig
from detkit.models import presets
from detkit.models.detr import DETRConfig
from detkit.necks import FPNConfig

SMALL = DETRHeadConfig(num_queries=5, channels=16, attention_heads=2, encoder_layers=1, decoder_layers=1, hidden=16)


@pytest.mark.parametrize("name", smallest_of_each_family())
def test_any_backbone(name: str) -> None:
    with torch.device("meta"):
        detector = DETRConfig(backbone=BackboneConfig(name=name, weights=None), head=SMALL).build(2)
    assert len(detector.neck.strides) == 1
    assert detector.head.projection.in_channels == detector.backbone.channels[-1]


def test_one_level_is_required() -> None:
    config = DETRConfig(backbone=BackboneConfig(name="resnet18", weights=None), neck=FPNConfig(), head=SMALL)
    with pytest.raises(ValueError, match=r"model.neck: expected one level, got 5 levels \(strides 4, 8, .*model.neck.kind=single"):
        config.build(2)
    one = config.replace(backbone=config.backbone.replace(levels=("c5",)), neck=FPNConfig(extra_levels=None))
    assert one.build(2).neck.strides == (32,)


@pytest.mark.parametrize(
    "size", [(480, 640), (640, 426), (360, 640), (500, 375), (333, 500), (427, 640), (612, 612), (800, 1333), (97, 1024)]
)
def test_resizing_matches_the_released_code(size: tuple[int, int]) -> None:
    """Compare with ``get_size_with_aspect_ratio`` of the released datasets/transforms.py."""
    height, width = size
    side = 800
    if max(size) / min(size) * side > 1333:
        side = round(1333 * min(size) / max(size))
    expected = (int(side * height / width), side) if width < height else (side, int(side * width / height))
    assert DETRConfig().preprocess.placement(size).content == expected


def test_data_warnings() -> None:
    config = DETRConfig()
    assert config.data_warnings(118_287, 93) == ()
    (few,) = config.data_warnings(205, 30)
    assert "205 training images are few for DETR" in few
    assert "weights=detr_r50" in few
    (_, many) = presets.detr_small().data_warnings(205, 64)
    assert "has 64 objects, but DETR detects at most model.head.num_queries=60" in many


@pytest.mark.parametrize("preset", [presets.detr_r50_dc5, presets.detr_small])
def test_preset_strides_and_queries(preset: Config) -> None:
    config = preset()
    with torch.device("meta"):
        detector = config.build(3)
    assert detector.neck.strides == (16,)
    assert detector.head.queries.weight.shape == (config.head.num_queries, 256)
