"""D-FINE in its five sizes, for images of 640 pixels."""

from __future__ import annotations

from detkit.backbones import BackboneConfig
from detkit.heads.queries.dfine import DFINEHeadConfig
from detkit.models.dfine import DFINEConfig
from detkit.necks import HybridEncoderConfig

_LEVELS = ("c3", "c4", "c5")


def dfine_n() -> DFINEConfig:
    """D-FINE-N: HGNetV2-B0, two levels of 128 channels, three decoder layers."""
    return DFINEConfig(
        backbone=_backbone("b0", levels=_LEVELS[1:]),
        neck=_neck(channels=128, hidden=512, expansion=0.34, depth=0.5),
        head=DFINEHeadConfig(channels=128, hidden=512, layers=3, points=(6, 6)),
    )


def dfine_s() -> DFINEConfig:
    """D-FINE-S: HGNetV2-B0, blocks of half the width, three decoder layers."""
    return DFINEConfig(backbone=_backbone("b0"), neck=_neck(expansion=0.5, depth=0.34), head=DFINEHeadConfig(layers=3))


def dfine_m() -> DFINEConfig:
    """D-FINE-M: HGNetV2-B2, four decoder layers."""
    return DFINEConfig(backbone=_backbone("b2"), neck=_neck(depth=0.67), head=DFINEHeadConfig(layers=4))


def dfine_l() -> DFINEConfig:
    """D-FINE-L: HGNetV2-B4, six decoder layers."""
    return DFINEConfig()


def dfine_x() -> DFINEConfig:
    """D-FINE-X: HGNetV2-B5, an encoder of 384 channels, six decoder layers, finer steps of small distances."""
    config = DFINEConfig()
    return config.replace(
        backbone=config.backbone.replace(name="hgnetv2_b5"),
        neck=_neck(channels=384, hidden=2048),
        head=DFINEHeadConfig(reg_scale=8.0),
    )


def _backbone(size: str, levels: tuple[str, ...] = _LEVELS) -> BackboneConfig:
    """Return the backbone of a small model, of which only the stem is frozen, as in the code's ``dfine_hgnetv2_n_coco.yml``."""
    return BackboneConfig(name=f"hgnetv2_{size}", levels=levels, normalization="none", norm="train", frozen_stages=1)


def _neck(**settings: float) -> HybridEncoderConfig:
    return HybridEncoderConfig(block="rep_elan", downsample="separable").replace(**settings)
