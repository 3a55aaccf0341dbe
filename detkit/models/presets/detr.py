"""DETR as released, and a smaller version for small data sets."""

from __future__ import annotations

from detkit.backbones import BackboneConfig
from detkit.heads.postprocess import PostprocessConfig
from detkit.heads.queries.denoising import DenoisingConfig
from detkit.heads.queries.detr import DETRHeadConfig
from detkit.models.detr import DETRConfig


def detr_r50() -> DETRConfig:
    """DETR on a ResNet-50."""
    return DETRConfig()


def detr_r50_dc5() -> DETRConfig:
    """DETR-DC5 on a ResNet-50: a map of stride 16, four times the cells; trained with one image per batch, without padding."""
    return DETRConfig(backbone=BackboneConfig(dilated_c5=True))


def detr_r101() -> DETRConfig:
    """DETR on a ResNet-101."""
    return DETRConfig(backbone=BackboneConfig(name="resnet101"))


def detr_r101_dc5() -> DETRConfig:
    """DETR-DC5 on a ResNet-101."""
    return DETRConfig(backbone=BackboneConfig(name="resnet101", dilated_c5=True))


def detr_small() -> DETRConfig:
    """DETR for data sets of some hundred or thousand images with up to 60 objects each, from an ImageNet backbone.

    More of the queries learn from an object. There are fewer queries (5 instead of 100 raised the AP on a data set of logos from 15 to 24:
    github.com/facebookresearch/detr, issue 124), and two are matched to each object (which raised the AP on Cityscapes from 22.2 to 25.2:
    github.com/encounter1997/DE-DETRs), so that NMS at IoU 0.7 is needed. The decoder also learns to restore noised copies of the objects,
    which needs no matching (DN-DETR, arXiv:2203.01305, reached the AP of DETR in half its epochs). Half the layers with half the width have
    fewer weights to learn (3 encoder layers instead of 6 cost half a point of AP on COCO: table 2 of the paper). The map has stride 16, for
    small objects, and comes from an earlier stage, as not every backbone supports dilation. Expect a long training: the authors advise
    300,000 steps (issue 22).
    """
    head = DETRHeadConfig(
        num_queries=60,
        encoder_layers=3,
        decoder_layers=3,
        hidden=1024,
        target_copies=2,
        denoising=DenoisingConfig(),
        postprocess=PostprocessConfig(min_score=0.0, pre_nms_top_k=None, nms_iou=0.7, max_detections=100),
    )
    return DETRConfig(backbone=BackboneConfig(levels=("c4",)), head=head)
