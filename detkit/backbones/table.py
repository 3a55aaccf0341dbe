"""The table of backbones that a person can name."""

from __future__ import annotations

from detkit.registry import Registry

BACKBONES = Registry(
    "backbone",
    "detkit.backbones",
    {
        "resnet18": "detkit.backbones.torchvision_models:resnet18",
        "resnet34": "detkit.backbones.torchvision_models:resnet34",
        "resnet50": "detkit.backbones.torchvision_models:resnet50",
        "resnet101": "detkit.backbones.torchvision_models:resnet101",
        "mobilenet_v3_large": "detkit.backbones.torchvision_models:mobilenet_v3_large",
        "mobilenet_v3_large_reduced": "detkit.backbones.torchvision_models:mobilenet_v3_large_reduced",
        "vgg16": "detkit.backbones.torchvision_models:vgg16",
        "vgg16_caffe": "detkit.backbones.torchvision_models:vgg16_caffe",
        "darknet_yolov1": "detkit.backbones.darknet_v1:darknet_yolov1",
        "darknet_yolov1_tiny": "detkit.backbones.darknet_v1:darknet_yolov1_tiny",
        "efficientnet_lite0": "detkit.backbones.timm_models:efficientnet_lite0",
        "csp_darknet_nano": "detkit.backbones.csp_darknet:csp_darknet_nano",
        "csp_darknet_tiny": "detkit.backbones.csp_darknet:csp_darknet_tiny",
        "csp_darknet_s": "detkit.backbones.csp_darknet:csp_darknet_s",
        "csp_darknet_m": "detkit.backbones.csp_darknet:csp_darknet_m",
        "csp_darknet_l": "detkit.backbones.csp_darknet:csp_darknet_l",
        "csp_darknet_x": "detkit.backbones.csp_darknet:csp_darknet_x",
    },
)
"""Each entry is a function ``make(*, levels, norm, norm_eps) -> Backbone``; see :class:`detkit.backbones.BackboneConfig` for the three."""
