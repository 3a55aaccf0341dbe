"""Fast R-CNN on a ResNet-50 FPN for Pascal VOC 2007: the second stage of Faster R-CNN on selective search proposals.

    detkit data fetch voc data/voc
    detkit models download resnet50
    detkit train fast_rcnn_r50_fpn
    detkit evaluate runs/fast_rcnn_r50_fpn-1 --data data/voc/VOC2007 --split test --metric voc07

Result: not yet run.
"""

from detkit.config_classes import (
    BackboneConfig,
    FPNConfig,
    LoaderConfig,
    RegionConfig,
    SGDConfig,
    TrainingConfig,
)
from detkit.zoo.two_stage.fast_rcnn_vgg16 import config as base

config = base.replace(
    name="fast_rcnn_r50_fpn",
    # Head and sampling of the FPN paper (arXiv:1612.03144, section 5.2).
    model=base.model.replace(backbone=BackboneConfig(), neck=FPNConfig(extra_levels=None), region=RegionConfig()),
    loader=LoaderConfig(batch_size=16, workers=4),
    optimizer=SGDConfig(lr=0.02, reference_batch_size=16),
    training=TrainingConfig(epochs=12),
)
