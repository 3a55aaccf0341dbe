"""Faster R-CNN on MobileNetV3-Large, the light one of torchvision, for COCO.

    detkit data fetch coco data/coco
    detkit models download mobilenet_v3_large
    detkit train fpn_mobilenet

Result: not yet run. torchvision publishes AP 32.8 on val2017 for this model.
"""

from detkit.config_classes import AugmentationConfig, TrainingConfig, presets
from detkit.zoo.two_stage.fpn_r50 import config as base

config = base.replace(
    name="fpn_mobilenet",
    model=presets.fasterrcnn_mobilenet_v3_large_fpn(),
    augmentation=AugmentationConfig(preset="multiscale"),
    training=TrainingConfig(epochs=26),
)
