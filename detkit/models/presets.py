"""Model configs with the numbers of known publications; a config file starts from one and changes what it wants."""

from __future__ import annotations

from detkit.backbones import BackboneConfig
from detkit.heads.anchors import AnchorConfig
from detkit.heads.region import ConvFCConfig
from detkit.heads.region_classifier import RegionConfig
from detkit.heads.rpn import RPNConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.necks import FPNConfig, SingleLevelConfig
from detkit.preprocess import PreprocessConfig


def fasterrcnn_resnet50_fpn() -> FasterRCNNConfig:
    """Faster R-CNN on a ResNet-50 FPN, as torchvision has it."""
    return FasterRCNNConfig()


def fasterrcnn_resnet50_fpn_v2() -> FasterRCNNConfig:
    """Torchvision's second generation: batch norm everywhere, two convolutions in the RPN, four in the region head."""
    return FasterRCNNConfig(
        backbone=BackboneConfig(norm="train"),
        neck=FPNConfig(norm="batch"),
        rpn=RPNConfig(depth=2),
        region=RegionConfig(head=ConvFCConfig()),
    )


def fasterrcnn_mobilenet_v3_large_fpn() -> FasterRCNNConfig:
    """Torchvision's light Faster R-CNN: two maps of stride 32, fifteen anchors a cell."""
    sizes = ((32.0, 64.0, 128.0, 256.0, 512.0),) * 3
    return FasterRCNNConfig(
        backbone=BackboneConfig(name="mobilenet_v3_large", norm_eps=1e-5, frozen_stages=3, levels=("c5_first", "c5")),
        rpn=RPNConfig(anchors=AnchorConfig(sizes=sizes), min_score=0.05),
    )


def fasterrcnn_mobilenet_v3_large_320_fpn() -> FasterRCNNConfig:
    """The same for pictures of 320 pixels, with few proposals."""
    config = fasterrcnn_mobilenet_v3_large_fpn()
    rpn = config.rpn.replace(candidates=150, proposals=150)
    return config.replace(preprocess=PreprocessConfig(short_side=320, long_side=640), rpn=rpn)


def fasterrcnn_resnet50_c4() -> FasterRCNNConfig:
    """Faster R-CNN on one map of stride 16, fifteen anchors a cell; regions go through two fully connected layers."""
    return FasterRCNNConfig(
        backbone=BackboneConfig(levels=("c4",)),
        neck=SingleLevelConfig(),
        rpn=RPNConfig(anchors=AnchorConfig(sizes=((32.0, 64.0, 128.0, 256.0, 512.0),))),
    )
