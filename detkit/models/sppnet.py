"""SPPNet (arXiv:1406.4729): maps of the whole image once, every proposal pooled by a pyramid of maxima; SVMs on the layers behind."""

from __future__ import annotations

from typing import Literal

from detkit.backbones import BackboneConfig
from detkit.heads.region import TwoFCConfig
from detkit.heads.region_classifier import RegionConfig
from detkit.heads.region_fitted import FittedConfig
from detkit.models.fast_rcnn import FastRCNNConfig
from detkit.preprocess import PreprocessConfig

FIVE_SCALES = tuple(side / 1200 for side in (480, 576, 688, 864, 1200))
"""The five short sides of section 4.1, as factors on the largest, to which images are brought first."""


class SPPNetConfig(FastRCNNConfig):
    """SPPNet for detection, at one scale; the numbers are the paper's (section 4).

    Its convolutions stay as they are, and the layers behind the pyramid learn, then SVMs and box regressors are fitted. The paper's five
    scales are ``preprocess.short_side=1200 preprocess.long_side=2000`` with ``scales=FIVE_SCALES``.

    Differences from the paper: the 128 regions of a step come from the images of the batch; a region's bins are rounded as Fast R-CNN's
    code does; smaller scales are made from the largest inside the model; where ZFNet is not at hand another backbone stands in its place;
    boxes are regressed from what the head gives, as ResNet-50 has 51,200 numbers a region before it, too many for a closed form: with
    ZFNet, which has 12,800, the paper's features (the pooled ones) are ``region.fitted.boxes_from=pooled``.
    """

    kind: Literal["sppnet"] = "sppnet"  # type: ignore[assignment]
    """Which detector this is."""
    preprocess: PreprocessConfig = PreprocessConfig(short_side=688, long_side=1200)
    """How images are resized before the model sees them; 688 is the single scale of the paper's table 9."""
    backbone: BackboneConfig = BackboneConfig(levels=("c4",), frozen_stages=4)
    """The network that makes the map, which does not learn here."""
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
    """What each region shows."""
