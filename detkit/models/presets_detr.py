"""DETR as released, and a smaller one for small data sets."""

from __future__ import annotations

from detkit.backbones import BackboneConfig
from detkit.heads.detr import DETRHeadConfig
from detkit.models.detr import DETRConfig


def detr_r50() -> DETRConfig:
    """DETR on a ResNet-50."""
    return DETRConfig()


def detr_r50_dc5() -> DETRConfig:
    """DETR-DC5 on a ResNet-50: a map of stride 16, four times the cells; trained with one picture a batch, without padding."""
    return DETRConfig(backbone=BackboneConfig(dilated_c5=True))


def detr_r101() -> DETRConfig:
    """DETR on a ResNet-101."""
    return DETRConfig(backbone=BackboneConfig(name="resnet101"))


def detr_r101_dc5() -> DETRConfig:
    """DETR-DC5 on a ResNet-101."""
    return DETRConfig(backbone=BackboneConfig(name="resnet101", dilated_c5=True))


def detr_small() -> DETRConfig:
    """For data sets of some thousand pictures with up to 50 objects each, from an ImageNet backbone.

    Fewer numbers to learn: half the queries, which share the few objects there are (with 5 queries in place of 100 a logo data set rose
    from 15 to 24 AP: github.com/facebookresearch/detr, issue 124), and half the layers, half as wide (3 encoder layers cost half a point
    of AP on COCO: table 2 of the paper). A map of stride 16, for which DETR is slow to learn small objects on a coarse one, without
    dilation, which not every backbone has. Expect to train long, 300,000 steps if they can be had (the authors' advice, issue 22).
    """
    head = DETRHeadConfig(queries=50, encoder_layers=3, decoder_layers=3, hidden=1024)
    return DETRConfig(backbone=BackboneConfig(levels=("c4",)), head=head)
