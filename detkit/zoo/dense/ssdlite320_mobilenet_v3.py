"""SSDLite320 on MobileNetV3-Large with a reduced tail, for COCO, from scratch, with the numbers of torchvision's training.

    detkit data fetch coco data/coco
    detkit train ssdlite320_mobilenet_v3

The numbers are those of torchvision's reference training. To start from ImageNet weights:
``model.backbone.name=mobilenet_v3_large model.backbone.weights=default``, which has the full tail.

Result: not yet run. torchvision publishes AP 21.3 on val2017 for this model and schedule.
"""

from detkit.config_classes import (
    AugmentationConfig,
    CosineConfig,
    IoUCropConfig,
    LoaderConfig,
    SGDConfig,
    TrainingConfig,
    presets,
)
from detkit.zoo.two_stage.fpn_r50 import config as base

config = base.replace(
    name="ssdlite320_mobilenet_v3",
    model=presets.ssdlite320_mobilenet_v3_large(),
    augmentation=AugmentationConfig(preset="flip", crop=IoUCropConfig()),
    loader=LoaderConfig(batch_size=192, workers=8, skip_empty=True),
    optimizer=SGDConfig(lr=0.15, reference_batch_size=192, weight_decay=4e-5),
    schedule=CosineConfig(final_factor=0.0),
    training=TrainingConfig(epochs=660),
)
