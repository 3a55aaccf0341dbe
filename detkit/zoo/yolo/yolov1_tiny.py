"""Fast YOLO with nine convolutions (arXiv:1506.02640, section 2.2), for Pascal VOC 2007.

    detkit data fetch voc data/voc
    detkit train yolov1_tiny
    detkit evaluate runs/yolov1_tiny-1 --data data/voc/VOC2007 --split test --metric voc07

Result: not yet run. The paper reports mAP 52.7 on VOC 2007 test, trained on VOC 2007 and 2012.
"""

from detkit.config_classes import presets
from detkit.zoo.yolo.yolov1 import config as base

config = base.replace(name="yolov1_tiny", model=presets.yolov1_tiny())
