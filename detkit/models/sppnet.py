"""SPPNet (arXiv:1406.4729): one pass over the image, every proposal pooled by a pyramid of maxima, and SVMs on the last layers."""

from __future__ import annotations

from typing import Literal

from detkit.backbones import BackboneConfig
from detkit.heads.region.classifier import RegionConfig
from detkit.heads.region.fitted import FittedConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.models.fast_rcnn import FastRCNNConfig
from detkit.preprocess import PreprocessConfig

FIVE_SCALES = tuple(side / 1200 for side in (480, 576, 688, 864, 1200))
"""The five short sides of section 4.1, as factors relative to the largest, to which images are resized first."""


class SPPNetConfig(FastRCNNConfig):
    """SPPNet for detection, at one scale; the settings are those of the paper (section 4).

    The convolutions are frozen and the layers after the pyramid are trained; then SVMs and box regressors are fitted. The paper's five
    scales are ``preprocess.short_side=1200 preprocess.long_side=2000`` with ``scales=FIVE_SCALES``.

    Differences from the paper: the 128 regions of a step come from the images of the batch; a region's bins are rounded as in Fast R-CNN's
    code; smaller scales are computed from the largest inside the model; another backbone replaces ZFNet where its weights are unavailable;
    boxes are regressed from the output of the head, as ResNet-50 has 51,200 features per region before it, too many for a closed-form
    solution: with ZFNet, which has 12,800, set ``region.fitted.boxes_from=pooled`` for the paper's features.
    """

    kind: Literal["sppnet"] = "sppnet"  # type: ignore[assignment]
    """Kind of detector."""
    preprocess: PreprocessConfig = PreprocessConfig(short_side=688, long_side=1200)
    """How images are resized for the model; 688 is the single scale of the paper's table 9."""
    backbone: BackboneConfig = BackboneConfig(levels=("c4",), frozen_stages=4)
    """Network that computes the feature map; it is frozen."""
    region: RegionConfig = RegionConfig(
        pooling="pyramid",
        head=TwoFCConfig(hidden=4096, dropout=0.5),
        samples_per_image=32,
        min_negative_iou=0.1,
        box_regression=False,
        fitted=FittedConfig(boxes_from="hidden"),
        box_weights=(1.0, 1.0, 1.0, 1.0),
        nms_iou=0.3,
    )
    """Second stage: classifies and refines each region."""
