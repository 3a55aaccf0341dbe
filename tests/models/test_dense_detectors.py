"""RetinaNet and FCOS: tests beyond the contracts of all detectors."""

from __future__ import annotations

import pytest
import torch
from backbone_families import smallest_of_each_family

from detkit.backbones import BackboneConfig
from detkit.config import apply_overrides
from detkit.models import presets
from detkit.models.fcos import FCOSConfig
from detkit.structures import Targets


@pytest.mark.parametrize("name", sorted(set(smallest_of_each_family()) - {"lenet5", "hgnetv2_atto"}))
def test_any_backbone(name: str) -> None:
    with torch.device("meta"):
        detector = apply_overrides(FCOSConfig(), [f"backbone.name={name}"]).build(3)
    assert detector.neck.strides == (8, 16, 32, 64, 128)


def test_backbone_without_the_levels_is_rejected() -> None:
    with pytest.raises(ValueError, match="backbone lenet5: expected levels out of c0, c1, c2, got c3, c4, c5"):
        FCOSConfig(backbone=BackboneConfig(name="lenet5", weights=None, levels=("c3", "c4", "c5"))).build(3)


@pytest.mark.parametrize("name", ["retinanet_resnet50_fpn_v2", "retinanet_resnet50_fpn_paper", "fcos_resnet50_fpn_paper"])
def test_presets_train_and_detect(name: str) -> None:
    config = getattr(presets, name)()
    assert type(config).from_json(config.to_json()) == config
    small = config.replace(
        backbone=config.backbone.replace(name="resnet18", weights=None),
        neck=config.neck.replace(out_channels=64),
        head=config.head.replace(depth=1),
    )
    detector = small.build(2)
    target = Targets.of(torch.tensor([[10.0, 12.0, 60.0, 70.0]]), torch.tensor([1]))
    assert all(0 < loss < 20 for loss in detector([torch.rand(3, 90, 120)], [target]).values())
    with torch.no_grad():
        assert len(detector.eval()([torch.rand(3, 90, 120)])) == 1
