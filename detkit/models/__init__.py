"""Detectors: backbones, necks and heads assembled into models, registered by name."""

from __future__ import annotations

from detkit.registry import Registry

MODELS = Registry(
    "model",
    "detkit.models",
    {
        "classifier": "detkit.models.classifier:ClassifierConfig",
        "clip": "detkit.models.clip.classifier:CLIPConfig",
        "clip_rcnn": "detkit.models.clip.rcnn:CLIPRCNNConfig",
        "detr": "detkit.models.detr:DETRConfig",
        "dfine": "detkit.models.dfine:DFINEConfig",
        "fast_rcnn": "detkit.models.fast_rcnn:FastRCNNConfig",
        "faster_rcnn": "detkit.models.faster_rcnn:FasterRCNNConfig",
        "fcn": "detkit.models.semantic.fcn:FCNConfig",
        "fcos": "detkit.models.fcos:FCOSConfig",
        "mask_rcnn": "detkit.models.mask_rcnn:MaskRCNNConfig",
        "rcnn": "detkit.models.rcnn:RCNNConfig",
        "retinanet": "detkit.models.retinanet:RetinaNetConfig",
        "rtdetr": "detkit.models.rtdetr:RTDETRConfig",
        "sppnet": "detkit.models.sppnet:SPPNetConfig",
        "ssd": "detkit.models.ssd:SSDConfig",
        "unet": "detkit.models.semantic.unet:UNetConfig",
        "yolov1": "detkit.models.yolov1:YOLOv1Config",
        "yolox": "detkit.models.yolox:YOLOXConfig",
    },
)
"""Kind of a model to the config class that builds it; other packages register theirs through the entry-point group."""
