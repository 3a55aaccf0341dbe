"""FCOS (arXiv:1904.01355)."""

from __future__ import annotations

from typing import Literal

from detkit.backbones import BackboneConfig
from detkit.heads.fcos import FCOSHeadConfig
from detkit.models.detector import DetectorConfig
from detkit.models.one_stage import OneStage
from detkit.necks import FPNConfig, NeckConfig


class FCOSConfig(DetectorConfig):
    """FCOS; the defaults are those of torchvision's ``fcos_resnet50_fpn``, which follows the second paper (arXiv:2006.09214).

    The first paper, whose numbers ``presets.fcos_resnet50_fpn_paper`` has, differs: points lie in the middle of their cells
    (``head.offset``), all of an object counts and not its middle alone (``head.radius``), distances are exponentials with a
    learned scale for each level (``head.distances``), center-ness comes from the classes' tower (``head.centerness_tower``),
    boxes learn by the logarithm of the IoU (``head.box_loss``), and a detection's score is class probability times center-ness
    without a root, thresholded by the class probability alone (``head.score``, ``head.min_class_score``, ``head.postprocess``).
    """

    kind: Literal["fcos"] = "fcos"
    """Which detector this is."""
    backbone: BackboneConfig = BackboneConfig(levels=("c3", "c4", "c5"))
    """The network that makes the maps."""
    neck: NeckConfig = FPNConfig(extra_levels="p6p7")
    """What makes the maps of the backbone fit for detection."""
    head: FCOSHeadConfig = FCOSHeadConfig()
    """What predicts at every point."""

    def build(self, num_classes: int) -> OneStage:
        """The detector with random numbers, for so many classes.

        Raises:
            ValueError: parts do not fit together.
        """
        neck = self.neck.build(self.backbone.build())
        return OneStage(neck, self.head.build(neck.channels, neck.strides, num_classes))
