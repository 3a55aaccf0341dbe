"""RetinaNet (arXiv:1708.02002)."""

from __future__ import annotations

from typing import Literal

from detkit.backbones import BackboneConfig
from detkit.heads.retinanet import RetinaNetHeadConfig
from detkit.models.detector import DetectorConfig
from detkit.models.one_stage import OneStage
from detkit.necks import FPNConfig, NeckConfig


class RetinaNetConfig(DetectorConfig):
    """RetinaNet; the defaults are those of torchvision's ``retinanet_resnet50_fpn``.

    They differ from the paper, whose numbers ``presets.retinanet_resnet50_fpn_paper`` has, in four things: P6 is made from P5
    and not from C5 (``neck.extra``), the sizes of the anchors are cut to whole pixels (``head.anchors``), boxes learn by the L1
    loss and not by a smooth one (``head.beta``), and a image has up to 300 detections and not 100 (``head.postprocess.limit``).
    """

    kind: Literal["retinanet"] = "retinanet"
    """Which detector this is."""
    backbone: BackboneConfig = BackboneConfig(levels=("c3", "c4", "c5"))
    """The network that makes the maps."""
    neck: NeckConfig = FPNConfig(extra_levels="p6p7")
    """What makes the maps of the backbone fit for detection."""
    head: RetinaNetHeadConfig = RetinaNetHeadConfig()
    """What predicts at every anchor."""

    def build(self, num_classes: int) -> OneStage:
        """The detector with random numbers, for so many classes.

        Raises:
            ValueError: parts do not fit together.
        """
        neck = self.neck.build(self.backbone.build())
        return OneStage(neck, self.head.build(neck.channels, num_classes))
