"""YOLOX (arXiv:2107.08430): no anchors, a decoupled head, and places given to objects by what they predict."""

from __future__ import annotations

from typing import Literal

from detkit.backbones import BackboneConfig
from detkit.heads.yolox import YOLOXHeadConfig
from detkit.models.detector import DetectorConfig
from detkit.models.one_stage import OneStage
from detkit.necks import NeckConfig, PANConfig
from detkit.preprocess import PreprocessConfig

LEVELS = ("c3", "c4", "c5")


def letterbox(side: int) -> PreprocessConfig:
    """How the code makes images fit a square (``data_augment.py``, ``preproc``), and brings boxes back."""
    return PreprocessConfig(rule="letterbox", input_size=(side, side), interpolation="bilinear_bytes", box_scaling="factor")


class YOLOXConfig(DetectorConfig):
    """YOLOX; the defaults are those of its code (version 0.3.0) for the size s.

    Where the paper differs from the code: cells compete for an object that lie in a central region of fixed size or in its box
    (``head.center_inside_box`` with ``head.center_radius=2.5``, the first release). Where this differs from the code: the exponent of a side is at
    most 10, and cells inside a crowd that answer for no object are not counted.
    """

    kind: Literal["yolox"] = "yolox"
    """Which detector this is."""
    preprocess: PreprocessConfig = letterbox(640)
    """How images are resized before the model sees them."""
    backbone: BackboneConfig = BackboneConfig(name="csp_darknet_s", weights=None)
    """The network that makes the maps; unless ``levels`` says otherwise, those of strides 8, 16 and 32."""
    neck: NeckConfig = PANConfig()
    """What makes the maps of the backbone fit for detection."""
    head: YOLOXHeadConfig = YOLOXHeadConfig()
    """What is predicted at every cell, and learned."""

    def build(self, num_classes: int) -> OneStage:
        """The detector with random numbers, for so many classes.

        Raises:
            ValueError: parts do not fit together.
        """
        backbone = self.backbone if self.backbone.levels else self.backbone.replace(levels=LEVELS)
        neck = self.neck.build(backbone.build())
        return OneStage(neck, self.head.build(neck.channels, neck.strides, num_classes))
