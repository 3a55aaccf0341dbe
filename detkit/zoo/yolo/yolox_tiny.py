"""YOLOX-tiny for COCO, on images of 416 pixels, trained as in ``yolox_tiny.py`` of its code.

    detkit data fetch coco data/coco
    detkit train yolox_tiny

The mosaic scales images less than in ``yolox_s``, image sizes range from 320 to 640 pixels, and there is no mixup.

Result: not yet run. The released detector is published with AP 32.8 on val2017.
"""

from detkit.config_classes import MosaicConfig, MultiScaleConfig, presets
from detkit.zoo.yolo.yolox_s import config as base

config = base.replace(
    name="yolox_tiny",
    model=presets.yolox_tiny(),
    augmentation=base.augmentation.replace(mosaic=MosaicConfig(scale=(0.5, 1.5)), mixup=None),
    training=base.training.replace(multi_scale=MultiScaleConfig(min_size=320, max_size=640)),
)
