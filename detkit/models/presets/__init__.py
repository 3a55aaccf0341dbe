"""Model configs with the settings of known publications; a config file starts from one and replaces values."""

from detkit.models.presets.detr import detr_r50, detr_r50_dc5, detr_r101, detr_r101_dc5, detr_small
from detkit.models.presets.ssd import ssd300_vgg16, ssd300_vgg16_voc, ssd512_vgg16, ssdlite320_mobilenet_v3_large
from detkit.models.presets.torchvision import (
    fasterrcnn_mobilenet_v3_large_320_fpn,
    fasterrcnn_mobilenet_v3_large_fpn,
    fasterrcnn_resnet50_c4,
    fasterrcnn_resnet50_fpn,
    fasterrcnn_resnet50_fpn_v2,
    fcos_resnet50_fpn,
    fcos_resnet50_fpn_paper,
    retinanet_resnet50_fpn,
    retinanet_resnet50_fpn_paper,
    retinanet_resnet50_fpn_v2,
)
from detkit.models.presets.yolo import (
    light_lite0,
    yolov1,
    yolov1_tiny,
    yolox_l,
    yolox_m,
    yolox_nano,
    yolox_s,
    yolox_tiny,
    yolox_x,
)

__all__ = [
    "detr_r50",
    "detr_r50_dc5",
    "detr_r101",
    "detr_r101_dc5",
    "detr_small",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_c4",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
    "fcos_resnet50_fpn_paper",
    "light_lite0",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_paper",
    "retinanet_resnet50_fpn_v2",
    "ssd300_vgg16",
    "ssd300_vgg16_voc",
    "ssd512_vgg16",
    "ssdlite320_mobilenet_v3_large",
    "yolov1",
    "yolov1_tiny",
    "yolox_l",
    "yolox_m",
    "yolox_nano",
    "yolox_s",
    "yolox_tiny",
    "yolox_x",
]
