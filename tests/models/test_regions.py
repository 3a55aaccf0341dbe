from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from detkit.backbones import BackboneConfig
from detkit.heads.region.fitted import FittedConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.inference.optimize import with_low_ranks
from detkit.models import MODELS, presets
from detkit.models.detector import Detector, DetectorConfig
from detkit.models.fast_rcnn import FastRCNNConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.models.fcos import FCOSConfig
from detkit.models.regions import has_regions
from detkit.training.fitting.feature_store import fitting_data

BACKBONE = BackboneConfig(name="resnet18", weights=None, levels=("c4",))


def small(kind: type[FastRCNNConfig] | type[FasterRCNNConfig], fitted: FittedConfig | None = None) -> Detector:
    region = kind().region.replace(head=TwoFCConfig(hidden=8), fitted=fitted)
    more = {"rpn": presets.fasterrcnn_resnet50_c4().rpn} if kind is FasterRCNNConfig else {}
    return kind(backbone=BACKBONE, neck=FastRCNNConfig().neck, region=region, **more).build(2)


def test_detectors_with_regions_are_recognized() -> None:
    with torch.device("meta"):
        one_stage = FCOSConfig(backbone=BackboneConfig(name="resnet18", weights=None)).build(2)
    assert has_regions(small(FastRCNNConfig))
    assert has_regions(small(FasterRCNNConfig))
    assert not has_regions(one_stage)
    assert not has_regions(nn.Linear(2, 2))


@pytest.mark.parametrize("kind", MODELS.names())
def test_configs_with_regions_return_their_settings(kind: str) -> None:
    config: DetectorConfig = MODELS.get(kind)()
    assert config.region_config is (config.region if "region" in type(config).model_fields else None)


def test_layers_to_fit_need_a_detector_of_given_proposals() -> None:
    """A detector that finds its regions itself has none to compute features of."""
    records = object()
    data = SimpleNamespace(records=records)
    assert fitting_data(SimpleNamespace(detector=small(FastRCNNConfig, FittedConfig()), data=data)) is records
    for detector in (small(FastRCNNConfig), small(FasterRCNNConfig), small(FasterRCNNConfig, FittedConfig())):
        with pytest.raises(ValueError, match=f"stage: {type(detector).__name__} has no layers to fit"):
            fitting_data(SimpleNamespace(detector=detector, data=data))


def test_low_ranks_leave_the_detector_as_it_is() -> None:
    detector = small(FasterRCNNConfig)
    fast = with_low_ranks(detector, (4, 3))
    assert isinstance(detector.region.head.fc6, nn.Linear)
    assert [part.out_features for part in fast.region.head.fc6] == [4, 8]
    with pytest.raises(ValueError, match="OneStage has no region head"):
        with_low_ranks(FCOSConfig(backbone=BackboneConfig(name="resnet18", weights=None, levels=("c3", "c4", "c5"))).build(2), (4, 3))
