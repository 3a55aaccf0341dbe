"""R-CNN (arXiv:1311.2524): every proposal is cropped, warped to a fixed size and passed through the network separately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones import Backbone, BackboneConfig
from detkit.heads.region.classifier import RegionClassifier, RegionConfig, RegionSource
from detkit.heads.region.fitted import FittedConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.models.fast_rcnn import FastRCNN, ProposalDetectorConfig
from detkit.necks import NeckConfig, SingleLevelConfig
from detkit.ops.warp import add_context, warp_regions
from detkit.preprocess import PreprocessConfig

ORIGINAL_SIZE = PreprocessConfig(short_side=4096, long_side=4096, enlarge=False)
"""Images keep their original size, unless a side exceeds 4096 pixels, more than in any common data set."""


class RCNNConfig(ProposalDetectorConfig):
    """R-CNN; the settings are those of the paper and of its released code.

    Differences from the paper: the 128 regions of a step come from the images of the batch (32 each from four) instead of from the whole
    data set; images may be flipped, as in its code; any backbone can replace AlexNet; boxes are regressed from the output of the head, as
    VGG16 has 25,088 features per region before it, too many for a closed-form solution: with AlexNet, which has 9,216, set
    ``region.fitted.boxes_from=pooled`` for the paper's features (pool5).
    """

    kind: Literal["rcnn"] = "rcnn"
    """Kind of detector."""
    preprocess: PreprocessConfig = ORIGINAL_SIZE
    """How images are resized before regions are cropped."""
    backbone: BackboneConfig = BackboneConfig(name="vgg16", levels=("c5",))
    """Network that processes each region; its last map is used."""
    neck: NeckConfig = SingleLevelConfig()
    """Neck over the backbone's feature map."""
    region: RegionConfig = RegionConfig(
        head=TwoFCConfig(hidden=4096, dropout=0.5),
        samples_per_image=32,
        box_regression=False,
        fitted=FittedConfig(boxes_from="hidden"),
        box_weights=(1.0, 1.0, 1.0, 1.0),
        nms_iou=0.3,
    )
    """Second stage: classifies and refines each region; ``pool_size`` is the side of its input map."""
    warp_size: int = Field(227, ge=2)
    """Side in pixels of a warped region, the input of the network."""
    context_pixels: int = Field(16, ge=0)
    """Pixels of this side, at each border, that show the surroundings of the region."""
    chunk_size: int = Field(16, ge=1)
    """Number of regions that pass through the network at once; on two cores, 16 at 128 pixels take a fifth of the time of one at a time."""

    def build(self, num_classes: int) -> RCNN:
        """Build the detector for ``num_classes`` classes with randomly initialized weights.

        Raises:
            ValueError: If the parts do not fit together.
        """
        neck = self.neck.build(self.network())
        if len(neck.channels) != 1:
            raise ValueError(f"model.neck: expected one map per region, got {len(neck.channels)}; set model.neck.kind=single")
        if self.region.pooling != "align":
            raise ValueError(f"model.region.pooling: expected align, got {self.region.pooling}; R-CNN warps regions and does not pool them")
        region = self.region.build(neck.channels, neck.strides, num_classes)
        return RCNN(neck, region, self)

    def network(self) -> Backbone:
        """Build the network that processes each region, with random weights and its stages frozen."""
        return self.backbone.build()


class RCNN(FastRCNN):
    """Passes each region of the image through the network.

    Args:
        neck: The network.
        region: The second stage.
        config: How regions are cropped and warped.
    """

    pad_multiple = 1

    def __init__(self, neck: nn.Module, region: RegionClassifier, config: RCNNConfig) -> None:
        super().__init__(neck, region)
        add_context(torch.zeros(0, 4), config.warp_size, config.context_pixels)
        self.config = config

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the images themselves, as regions are cropped from them."""
        return (images,)

    def region_source(self, maps: Sequence[Tensor]) -> RegionSource:
        """See :meth:`FastRCNN.region_source`."""
        return WarpedRegions(maps[0], self.neck, self.config)


@dataclass(frozen=True, eq=False)
class WarpedRegions:
    """Computes the feature map of each region of a batch of images.

    Attributes:
        images: ``(B, 3, H, W)`` normalized.
        network: Computes the feature map.
        config: How regions are cropped and warped.
    """

    images: Tensor
    network: nn.Module
    config: RCNNConfig

    def __call__(self, boxes: list[Tensor]) -> Tensor:
        """Return ``(sum N_i, C, S, S)`` for ``(N_i, 4)`` boxes of each image; S is the head's ``pool_size``."""
        size, context_pixels = self.config.warp_size, self.config.context_pixels
        indices = [index for index, rows in enumerate(boxes) for _ in range(0, len(rows), self.config.chunk_size)]
        chunks = [
            part for rows in boxes if len(rows) for part in torch.split(add_context(rows, size, context_pixels), self.config.chunk_size)
        ]
        maps = [self._feature_map(warp_regions(self.images[index], part, size)) for index, part in zip(indices, chunks, strict=True)]
        # Without regions, one blank crop determines the shape.
        return torch.cat(maps) if maps else self._feature_map(self.images.new_zeros((1, 3, size, size)))[:0]

    def _feature_map(self, crops: Tensor) -> Tensor:
        features: Tensor = self.network(crops)[0]
        side = self.config.region.pool_size
        return features if features.shape[-2:] == (side, side) else functional.adaptive_avg_pool2d(features, side)
