from __future__ import annotations

import sys

import pytest
import torch

from detkit.backbones import BackboneConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.inference import Predictor
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.necks import FPNConfig
from detkit.ops import pooling
from detkit.preprocess import PreprocessConfig


def test_only_the_first_image_of_a_process_does_without_compiled_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading them takes longer than a single image; once they are loaded, every detector uses them from its first image."""
    monkeypatch.delitem(sys.modules, "detkit.accelerate.pooling_cpu", raising=False)
    pooling._kernels.cache_clear()
    region = FasterRCNNConfig().region.replace(head=TwoFCConfig(hidden=8))
    backbone = BackboneConfig(name="shufflenet_v2_x0_5", weights=None)
    config = FasterRCNNConfig(backbone=backbone, neck=FPNConfig(out_channels=8), region=region)

    def predictor() -> Predictor:
        size = PreprocessConfig(rule="letterbox", input_size=(64, 64))
        return Predictor(config.build(2), size, ("cat", "dog"), "cpu", "fp32")

    first, loaded = predictor(), []
    for _ in range(2):
        first(torch.rand(3, 64, 64))
        loaded.append(pooling.kernels_are_loaded())
    assert loaded == [False, True]
    other, pools = predictor(), []
    region_head = other.detector.region
    plain = region_head.pooled
    monkeypatch.setattr(region_head, "pooled", lambda *args: (pools.append(region_head.compiled_pooling), plain(*args))[1])
    other(torch.rand(3, 64, 64))
    assert (pools[0], region_head.compiled_pooling) == (True, True)
