"""Fully convolutional network for semantic segmentation (arXiv:1411.4038), in torchvision's form."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from detkit.backbones import BackboneConfig
from detkit.heads.semantic.layers import FCNHead
from detkit.models.semantic.segmenter import Segmenter, SegmenterConfig
from detkit.necks import SingleLevelConfig
from detkit.preprocess import PreprocessConfig


class FCNConfig(SegmenterConfig):
    """FCN: two convolutions over the backbone's last map, and bilinear interpolation to the input.

    torchvision's ``fcn_resnet50`` has the same head, but dilates the last two stages: its map has stride 8, that of ``dilated_c5`` has 16.
    """

    kind: Literal["fcn"] = "fcn"
    """Kind of model."""
    preprocess: PreprocessConfig = PreprocessConfig(rule="letterbox", input_size=(512, 512), antialias=True)
    """How images are resized for the model."""
    backbone: BackboneConfig = BackboneConfig(name="resnet50", levels=("c5",), dilated_c5=True, frozen_stages=0, norm="train")
    """Network that computes the feature map."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the values before the last convolution that are dropped in training."""

    def build(self, num_classes: int) -> Segmenter:
        """Build the model for ``num_classes`` classes with randomly initialized weights.

        Raises:
            ValueError: If the backbone's settings do not fit it.
        """
        neck = SingleLevelConfig().build(self.backbone.build())
        return Segmenter(neck, FCNHead(neck.channels[-1], self.num_outputs(num_classes), self.dropout), num_classes, self)
