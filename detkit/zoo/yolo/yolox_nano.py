"""YOLOX-nano for COCO, on images of 416 pixels: as ``yolox_tiny``, with a mosaic for half of the images (``nano.py`` of its code).

    detkit data fetch coco data/coco
    detkit train yolox_nano

Result: not yet run. The released detector is published with AP 25.8 on val2017.
"""

from detkit.config_classes import MosaicConfig, presets
from detkit.zoo.yolo.yolox_tiny import config as base

config = base.replace(
    name="yolox_nano",
    model=presets.yolox_nano(),
    augmentation=base.augmentation.replace(mosaic=MosaicConfig(probability=0.5, scale=(0.5, 1.5))),
)
