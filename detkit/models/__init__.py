"""Detectors: the wiring of backbones, necks and heads, by name."""

from __future__ import annotations

from detkit.registry import Registry

MODELS = Registry(
    "model",
    "detkit.models",
    {
        "detr": "detkit.models.detr:DETRConfig",
        "faster_rcnn": "detkit.models.faster_rcnn:FasterRCNNConfig",
        "fcos": "detkit.models.fcos:FCOSConfig",
        "retinanet": "detkit.models.retinanet:RetinaNetConfig",
        "ssd": "detkit.models.ssd:SSDConfig",
        "yolov1": "detkit.models.yolov1:YOLOv1Config",
        "yolox": "detkit.models.yolox:YOLOXConfig",
    },
)
"""Kind of a model to the config class that builds it; other packages add theirs through the entry-point group."""
