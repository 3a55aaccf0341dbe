"""DEIMv2 on HGNetV2 (arXiv:2509.20787), in four sizes, each for images of its own size.

The networks are those of D-FINE with changes to the decoder, to the joined maps of the encoder and, in the smallest sizes, another encoder.
"""

from __future__ import annotations

from detkit.backbones import BackboneConfig
from detkit.heads.queries.dfine import DFINEHeadConfig
from detkit.heads.queries.losses import QueryLossConfig
from detkit.models.dfine import DFINEConfig
from detkit.necks import HybridEncoderConfig, LiteEncoderConfig
from detkit.preprocess import PreprocessConfig

_HEAD = DFINEHeadConfig(
    activation="silu",
    norm="rms",
    feed_forward="swiglu",
    positions="once",
    project_cells=False,
    layers=3,
    losses=QueryLossConfig(class_loss="matchability", alpha=None, gamma=1.5),
)


def deimv2_atto() -> DFINEConfig:
    """DEIMv2-Atto: the first stages of HGNetV2-B0 with a smaller third one, 64 channels, 100 queries, images of 320 pixels."""
    return _small("atto", 320, channels=64, hidden=160, queries=100)


def deimv2_femto() -> DFINEConfig:
    """DEIMv2-Femto: as Atto with a wider third stage, 96 channels, 150 queries, images of 416 pixels."""
    return _small("femto", 416, channels=96, hidden=256, queries=150)


def deimv2_pico() -> DFINEConfig:
    """DEIMv2-Pico: HGNetV2-B0 without its last stage, 112 channels, 200 queries, images of 640 pixels."""
    return _small("pico", 640, channels=112, hidden=320, queries=200)


def deimv2_n() -> DFINEConfig:
    """DEIMv2-N: HGNetV2-B0, two levels of 128 channels, 300 queries, images of 640 pixels."""
    neck = HybridEncoderConfig(channels=128, hidden=512, block="rep_elan", downsample="separable", expansion=0.34, depth=0.5, join="sum")
    head = _HEAD.replace(channels=128, hidden=512, points=(6, 6))
    return DFINEConfig(backbone=_backbone("b0", ("c4", "c5")), neck=neck, head=head)


def _small(size: str, side: int, *, channels: int, hidden: int, queries: int) -> DFINEConfig:
    """Return one of the sizes with the lite encoder, which are trained without the losses of distributions."""
    head = _HEAD.replace(
        channels=channels,
        hidden=hidden,
        points=(4, 2),
        num_queries=queries,
        gated=False,
        shared_box_head=True,
        united_matches=False,
        fine_grained_weight=0.0,
        distillation_weight=0.0,
    )
    return DFINEConfig(
        preprocess=PreprocessConfig(rule="fixed", input_size=(side, side), antialias=True),
        backbone=_backbone(size, ("c4",)).replace(weights=None),
        neck=LiteEncoderConfig(channels=channels),
        head=head,
    )


def _backbone(size: str, levels: tuple[str, ...]) -> BackboneConfig:
    """Return a backbone of which all is trained."""
    return BackboneConfig(name=f"hgnetv2_{size}", levels=levels, normalization="none", norm="train", frozen_stages=0)
