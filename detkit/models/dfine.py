"""D-FINE (arXiv:2410.13842): RT-DETR with boxes that are refined as distributions of their edges."""

from __future__ import annotations

from typing import Literal

from detkit.backbones import BackboneConfig
from detkit.heads.queries.dfine import DFINEHeadConfig
from detkit.models.rtdetr import QueryDetectorConfig
from detkit.necks import HybridEncoderConfig, NeckConfig


class DFINEConfig(QueryDetectorConfig):
    """D-FINE; the defaults are those of the released D-FINE-L. Other sizes: ``presets.dfine_n`` to ``presets.dfine_x``."""

    kind: Literal["dfine"] = "dfine"
    """Kind of detector."""
    backbone: BackboneConfig = BackboneConfig(
        name="hgnetv2_b4", levels=("c3", "c4", "c5"), normalization="none", norm="frozen", frozen_stages=1
    )
    """Network that computes the feature maps."""
    neck: NeckConfig = HybridEncoderConfig(block="rep_elan", downsample="separable")
    """Encoder between backbone and decoder."""
    head: DFINEHeadConfig = DFINEHeadConfig()
    """Query selection, decoder, matching and losses."""
