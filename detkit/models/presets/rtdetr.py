"""RT-DETR and RT-DETRv2 as released: four ResNet-D backbones, images of 640 pixels."""

from __future__ import annotations

from detkit.backbones import BackboneConfig
from detkit.heads.queries.rtdetr import RTDETRHeadConfig
from detkit.models.rtdetr import RTDETRConfig
from detkit.necks import HybridEncoderConfig


def rtdetr_v2_r18() -> RTDETRConfig:
    """RT-DETRv2-S: ResNet-18, three decoder layers, blocks of half the width."""
    return _rtdetr("resnet18vd", layers=3)


def rtdetr_v2_r34() -> RTDETRConfig:
    """RT-DETRv2 on a ResNet-34, with four decoder layers and blocks of half the width."""
    return _rtdetr("resnet34vd", layers=4)


def rtdetr_v2_r50() -> RTDETRConfig:
    """RT-DETRv2-L: ResNet-50, six decoder layers."""
    return RTDETRConfig()


def rtdetr_v2_r101() -> RTDETRConfig:
    """RT-DETRv2-X: ResNet-101, an encoder of 384 channels, six decoder layers."""
    config = RTDETRConfig()
    return config.replace(
        backbone=config.backbone.replace(name="resnet101d"),
        neck=HybridEncoderConfig(channels=384, hidden=2048),
    )


def rtdetr_r18() -> RTDETRConfig:
    """RT-DETR-R18; the network is that of version 2, which was only trained differently."""
    return rtdetr_v2_r18()


def rtdetr_r34() -> RTDETRConfig:
    """RT-DETR-R34; see :func:`rtdetr_r18`."""
    return rtdetr_v2_r34()


def rtdetr_r50() -> RTDETRConfig:
    """RT-DETR-R50; see :func:`rtdetr_r18`."""
    return rtdetr_v2_r50()


def rtdetr_r101() -> RTDETRConfig:
    """RT-DETR-R101; see :func:`rtdetr_r18`."""
    return rtdetr_v2_r101()


def _rtdetr(backbone: str, layers: int) -> RTDETRConfig:
    """Return the config of a small model as in the code's ``rtdetrv2_r18vd_120e_coco.yml``, which trains all of the backbone."""
    return RTDETRConfig(
        backbone=BackboneConfig(name=backbone, levels=("c3", "c4", "c5"), normalization="none", norm="train", frozen_stages=0),
        neck=HybridEncoderConfig(expansion=0.5),
        head=RTDETRHeadConfig(layers=layers),
    )
