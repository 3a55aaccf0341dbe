"""R-CNN without any detector training: an ImageNet classifier looks at every proposal."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from detkit.backbones import BackboneConfig
from detkit.heads.region import ConvPoolConfig
from detkit.heads.region_classifier import RegionConfig
from detkit.models.published.load import Publication
from detkit.models.rcnn import RCNNConfig
from detkit.proposals import ProposalsConfig

NEVER = -1e4
"""Logit of background, which the classifier does not know."""


def zero_shot_rcnn() -> Publication:
    """EfficientNet-Lite0's ImageNet classifier on proposals of selective search: 1,000 classes, from the package that has its weights.

    It is a makeshift, for images of single large things: the classifier was never told what is no object, prefers the part that makes
    a thing most itself to the whole, and knows ImageNet's classes alone, dogs by their breeds and no person. Scores are the softmax's,
    and detections of different classes suppress each other, as one thing is seen as many.
    """
    from torchvision.models import EfficientNet_B0_Weights

    config = RCNNConfig(
        proposals=ProposalsConfig(mode="fast", max_proposals=200, min_area=1024.0, max_aspect=4.0),
        backbone=BackboneConfig(name="efficientnet_lite0", weights=None, norm="frozen", levels=("c5",)),
        region=RegionConfig(
            head=ConvPoolConfig(), pool_size=7, box_regression=False, nms_iou=0.3, class_agnostic=True, min_score=0.3, max_detections=20
        ),
        warp_size=224,
        context_pixels=16,
    )
    names = tuple(EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"])
    return Publication(config, names, converted, weights="efficientnet_lite0")


def converted(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The classifier's tensors under our names, with a background that never wins.

    Raises:
        ValueError: the file has no classifier.
    """
    backbone = BackboneConfig(name="efficientnet_lite0", weights=None).build()
    found: dict[str, Tensor] = {}
    locations = {"conv_head": "region.head.conv", "bn2": "region.head.norm"}
    for name, tensor in backbone.published_names(dict(tensors)).items():
        layer, _, part = name.rpartition(".")
        if layer in locations:
            found[f"{locations[layer]}.{part}"] = tensor
        elif layer == "classifier":
            filling = tensor.new_full((1, *tensor.shape[1:]), NEVER if part == "bias" else 0.0)
            found[f"region.predictor.logits.{part}"] = torch.cat((tensor, filling))
        else:
            found[f"neck.backbone.{name}"] = tensor
    if "region.predictor.logits.weight" not in found:
        raise ValueError("expected a classifier's last layer, got none")
    return found
