"""RetinaNet (arXiv:1708.02002)."""

from __future__ import annotations

from typing import Literal

from detkit.backbones import BackboneConfig
from detkit.heads.retinanet import RetinaNetHeadConfig
from detkit.models.one_stage import OneStageConfig
from detkit.necks import FPNConfig, NeckConfig


class RetinaNetConfig(OneStageConfig):
    """RetinaNet; the defaults are those of torchvision's ``retinanet_resnet50_fpn``.

    They differ from the paper, whose settings ``presets.retinanet_resnet50_fpn_paper`` has, in four respects: P6 is computed from P5 and
    not from C5 (``neck.extra_levels``), the anchor sizes are truncated to whole pixels (``head.anchors``), boxes have an L1 loss and not a
    smooth L1 loss (``head.beta``), and an image has up to 300 detections and not 100 (``head.postprocess.max_detections``).
    """

    kind: Literal["retinanet"] = "retinanet"
    """Kind of detector."""
    backbone: BackboneConfig = BackboneConfig(levels=("c3", "c4", "c5"))
    """Network that computes the feature maps."""
    neck: NeckConfig = FPNConfig(extra_levels="p6p7")
    """Neck over the backbone's feature maps."""
    head: RetinaNetHeadConfig = RetinaNetHeadConfig()
    """Head that predicts at every anchor."""
