"""YOLOX-l for COCO; everything but the model is as in ``yolox_s``.

    detkit data fetch coco data/coco
    detkit train yolox_l

Result: not yet run. The released detector is published with AP 49.7 on val2017.
"""

from detkit.config_classes import presets
from detkit.zoo.yolo.yolox_s import config as base

config = base.replace(name="yolox_l", model=presets.yolox_l())
