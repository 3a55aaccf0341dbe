"""R-CNN (arXiv:1311.2524): every proposal is cut out, warped to one size and sent through the network by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones import Backbone, BackboneConfig
from detkit.heads.region import TwoFCConfig
from detkit.heads.region_classifier import RegionClassifier, RegionConfig, RegionSource
from detkit.heads.region_fitted import FittedConfig
from detkit.models.fast_rcnn import FastRCNN, ProposalDetectorConfig
from detkit.necks import NeckConfig, SingleLevelConfig
from detkit.ops.warp import warped, with_context
from detkit.preprocess import PreprocessConfig

AS_IT_IS = PreprocessConfig(short_side=4096, long_side=4096, enlarge=False)
"""Images keep their pixels, unless a side is longer than any data set's."""


class RCNNConfig(ProposalDetectorConfig):
    """R-CNN; the numbers are the paper's and those of its released code.

    Differences from the paper: the 128 regions of a step come from the images of the batch (32 each from four) instead of from the whole
    data set; images may be mirrored, as in its code; whatever backbone is named stands in AlexNet's place;
    boxes are regressed from what the head gives, as VGG16 has 25,088 numbers a region before it, too many for a closed form: with AlexNet,
    which has 9,216, the paper's features (pool5) are ``region.fitted.boxes_from=pooled``.
    """

    kind: Literal["rcnn"] = "rcnn"
    """Which detector this is."""
    preprocess: PreprocessConfig = AS_IT_IS
    """How images are resized before the model sees them; regions are cut from what comes of it."""
    backbone: BackboneConfig = BackboneConfig(name="vgg16", levels=("c5",))
    """The network that sees each region; its last map is used."""
    neck: NeckConfig = SingleLevelConfig()
    """What makes the map of the backbone fit for detection."""
    region: RegionConfig = RegionConfig(
        head=TwoFCConfig(hidden=4096, dropout=0.5),
        samples_per_image=32,
        box_regression=False,
        fitted=FittedConfig(boxes_from="hidden"),
        box_weights=(1.0, 1.0, 1.0, 1.0),
        nms_iou=0.3,
    )
    """What each region shows; its ``pool_size`` is the side of the map that the head sees."""
    warp_size: int = Field(227, ge=2)
    """Pixels a side of a region as the network sees it."""
    context_pixels: int = Field(16, ge=0)
    """Of these, how many on each side show what lies round the region."""
    chunk_size: int = Field(16, ge=1)
    """Regions that run through the network at once; on two cores 16 of 128 pixels take a fifth of the time that they take one by one."""

    def build(self, num_classes: int) -> RCNN:
        """The detector with random numbers, for so many classes.

        Raises:
            ValueError: parts do not fit together.
        """
        neck = self.neck.build(self.network())
        if len(neck.channels) != 1:
            raise ValueError(f"model.neck: R-CNN looks at one map of a region, got {len(neck.channels)}; set model.neck.kind=single")
        if self.region.pooling != "align":
            raise ValueError(
                f"model.region.pooling: regions of R-CNN are warped and not pooled; leave it at align, got {self.region.pooling}"
            )
        region = self.region.build(neck.channels, neck.strides, num_classes)
        return RCNN(neck, region, self)

    def network(self) -> Backbone:
        """What sees each region, with random numbers and its stages frozen."""
        return self.backbone.build()


class RCNN(FastRCNN):
    """Sends each region of the image through the network.

    Args:
        neck: The network.
        region: What each region shows.
        config: How regions are cut out.
    """

    pad_multiple = 1

    def __init__(self, neck: nn.Module, region: RegionClassifier, config: RCNNConfig) -> None:
        super().__init__(neck, region)
        with_context(torch.zeros(0, 4), config.warp_size, config.context_pixels)
        self.config = config

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """The images themselves: regions are cut from them."""
        return (images,)

    def source(self, maps: Sequence[Tensor]) -> RegionSource:
        """See :meth:`FastRCNN.source`."""
        return WarpedRegions(maps[0], self.neck, self.config)


@dataclass(frozen=True, eq=False)
class WarpedRegions:
    """Gives the map of each region of a batch of images.

    Attributes:
        images: ``(B, 3, H, W)`` normalized.
        network: Makes the map.
        config: How regions are cut out.
    """

    images: Tensor
    network: nn.Module
    config: RCNNConfig

    def __call__(self, boxes: list[Tensor]) -> Tensor:
        """``(sum N_i, C, S, S)`` for ``(N_i, 4)`` boxes of each image, S being the head's ``pool_size``."""
        size, context_pixels = self.config.warp_size, self.config.context_pixels
        images = [place for place, rows in enumerate(boxes) for _ in range(0, len(rows), self.config.chunk_size)]
        chunks = [
            part for rows in boxes if len(rows) for part in torch.split(with_context(rows, size, context_pixels), self.config.chunk_size)
        ]
        maps = [self._seen(warped(self.images[place], part, size)) for place, part in zip(images, chunks, strict=True)]
        # Without a region one blank crop tells the shape.
        return torch.cat(maps) if maps else self._seen(self.images.new_zeros((1, 3, size, size)))[:0]

    def _seen(self, crops: Tensor) -> Tensor:
        found: Tensor = self.network(crops)[0]
        side = self.config.region.pool_size
        return found if found.shape[-2:] == (side, side) else functional.adaptive_avg_pool2d(found, side)
