"""R-CNN without detector training: an ImageNet classifier applied to every proposal."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from detkit.backbones import BackboneConfig
from detkit.heads.region.classifier import RegionConfig
from detkit.heads.region.layers import ConvPoolConfig
from detkit.models.published.conversion import Publication
from detkit.models.rcnn import RCNNConfig
from detkit.proposals import ProposalsConfig

BACKGROUND_LOGIT = -1e4
"""Logit of background, which the classifier does not have."""


def zero_shot_rcnn() -> Publication:
    """Return EfficientNet-Lite0's ImageNet classifier on proposals of selective search, with 1,000 classes.

    The weights are in a Python package. It is a makeshift for images of single large objects: the classifier never saw background in
    training, favors the most distinctive part over the whole object, and has only ImageNet's classes, with dogs by breed and without
    persons. Scores are those of the softmax, and NMS is class-agnostic, as one object gets many classes.
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
    return Publication(config, names, convert, weights="efficientnet_lite0")


def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of the classifier, and add a background class that never wins.

    Raises:
        ValueError: If the file has no classifier.
    """
    backbone = BackboneConfig(name="efficientnet_lite0", weights=None).build()
    renamed: dict[str, Tensor] = {}
    layer_names = {"conv_head": "region.head.conv", "bn2": "region.head.norm"}
    for name, tensor in backbone.rename_published(dict(tensors)).items():
        layer, _, part = name.rpartition(".")
        if layer in layer_names:
            renamed[f"{layer_names[layer]}.{part}"] = tensor
        elif layer == "classifier":
            background = tensor.new_full((1, *tensor.shape[1:]), BACKGROUND_LOGIT if part == "bias" else 0.0)
            renamed[f"region.predictor.logits.{part}"] = torch.cat((tensor, background))
        else:
            renamed[f"neck.backbone.{name}"] = tensor
    if "region.predictor.logits.weight" not in renamed:
        raise ValueError("expected the last layer of a classifier, got none")
    return renamed
