"""YOLOX-x for COCO; everything but the model is as in ``yolox_s``.

    detkit data fetch coco data/coco
    detkit train yolox_x

Result: not yet run. The released detector is published with AP 51.1 on val2017.
"""

from detkit.config_classes import presets
from detkit.zoo.yolo.yolox_s import config as base

config = base.replace(name="yolox_x", model=presets.yolox_x())
