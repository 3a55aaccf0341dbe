"""FCOS (arXiv:1904.01355)."""

from __future__ import annotations

from typing import Literal

from detkit.backbones import BackboneConfig
from detkit.heads.fcos import FCOSHeadConfig
from detkit.models.one_stage import OneStageConfig
from detkit.necks import FPNConfig, NeckConfig


class FCOSConfig(OneStageConfig):
    """FCOS; the defaults are those of torchvision's ``fcos_resnet50_fpn``, which follows the second paper (arXiv:2006.09214).

    The first paper differs; ``presets.fcos_resnet50_fpn_paper`` has its settings. Its points are at the centers of their cells
    (``head.offset``), all points in an object's box are positive instead of those near its center (``head.center_radius``), distances are
    exponentials with a learned scale per level (``head.distance_encoding``), center-ness is predicted from the class tower
    (``head.centerness_tower``), boxes have a log IoU loss (``head.box_loss``), and a detection's score is class probability times
    center-ness, without the square root, thresholded by the class probability only (``head.score_rule``, ``head.min_class_score``,
    ``head.postprocess``).
    """

    kind: Literal["fcos"] = "fcos"
    """Kind of detector."""
    backbone: BackboneConfig = BackboneConfig(levels=("c3", "c4", "c5"))
    """Network that computes the feature maps."""
    neck: NeckConfig = FPNConfig(extra_levels="p6p7")
    """Neck over the backbone's feature maps."""
    head: FCOSHeadConfig = FCOSHeadConfig()
    """Head that predicts at every point."""
