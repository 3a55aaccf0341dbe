"""YOLOX (arXiv:2107.08430): anchor-free, with a decoupled head and an assignment by predictions (SimOTA)."""

from __future__ import annotations

from typing import Literal

from detkit.backbones import BackboneConfig
from detkit.heads.yolox import YOLOXHeadConfig
from detkit.models.one_stage import OneStageConfig
from detkit.necks import NeckConfig, PANConfig
from detkit.preprocess import PreprocessConfig

LEVELS = ("c3", "c4", "c5")


def letterbox(side: int) -> PreprocessConfig:
    """Return the preprocessing of the original code: images are fitted into a square (``data_augment.py``, ``preproc``)."""
    return PreprocessConfig(rule="letterbox", input_size=(side, side), interpolation="bilinear_bytes", box_scaling="factor")


class YOLOXConfig(OneStageConfig):
    """YOLOX; the defaults are those of its code (version 0.3.0) for size s.

    The paper differs from the code: the candidates for an object are the cells in a central region of fixed size or in its box
    (``head.center_inside_box`` with ``head.center_radius=2.5``, the first release). This implementation differs from the code: the exponent
    of a side is at most 10, and unassigned cells inside a crowd are ignored.
    """

    kind: Literal["yolox"] = "yolox"
    """Kind of detector."""
    preprocess: PreprocessConfig = letterbox(640)
    """How images are resized for the model."""
    backbone: BackboneConfig = BackboneConfig(name="csp_darknet_s", weights=None)
    """Network that computes the feature maps, of strides 8, 16 and 32 unless ``levels`` is set."""
    neck: NeckConfig = PANConfig()
    """Neck over the backbone's feature maps."""
    head: YOLOXHeadConfig = YOLOXHeadConfig()
    """Head that predicts at every cell."""

    def default_levels(self) -> tuple[str, ...]:
        """See :meth:`OneStageConfig.default_levels`."""
        return LEVELS
