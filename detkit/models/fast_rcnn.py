"""Fast R-CNN (arXiv:1504.08083): one pass over the image, then every proposal pooled from the maps, classified and refined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones import BackboneConfig
from detkit.backbones.loading import LoadedBackbone
from detkit.heads.class_layout import ClassLayout
from detkit.heads.region.classifier import RegionClassifier, RegionConfig, RegionSource
from detkit.models.detector import Detector, DetectorConfig, Losses, Raw
from detkit.models.loading.classifier_layers import load_with_head
from detkit.models.regions import region_layout
from detkit.necks import NeckConfig, SingleLevelConfig
from detkit.proposals import ProposalsConfig
from detkit.structures import Batch, Detections, Proposals, StageExplanation, Targets


class ProposalDetectorConfig(DetectorConfig):
    """Base of the configs of detectors that take proposals."""

    proposals: ProposalsConfig = ProposalsConfig(max_proposals=2000)
    """Source of the proposals; the papers use about 2,000 per image, from the fast mode of selective search."""
    region: RegionConfig = RegionConfig()
    """Second stage: classifies and refines each region."""

    @property
    def proposals_config(self) -> ProposalsConfig:
        """See :attr:`DetectorConfig.proposals_config`."""
        return self.proposals

    @property
    def region_config(self) -> RegionConfig:
        """See :attr:`DetectorConfig.region_config`."""
        return self.region

    def load_pretrained(self, detector: Detector) -> LoadedBackbone:
        """Load the weights that the config names into the backbone, and those layers of its classifier that match into the head.

        Raises:
            FileNotFoundError: If the weights are not on this machine; the message gives the command that fetches them.
        """
        return load_with_head(detector, self.backbone)


class FastRCNNConfig(ProposalDetectorConfig):
    """Fast R-CNN; the settings are those of the paper (sections 2.2 to 2.4) and of its released code.

    Differences from the paper: images without objects are used, with all their proposals as background; in training, ground-truth boxes are
    added to the proposals, as in the code, which the paper does not mention.
    """

    kind: Literal["fast_rcnn"] = "fast_rcnn"
    """Kind of detector."""
    backbone: BackboneConfig = BackboneConfig(levels=("c4",))
    """Network that computes the feature maps."""
    neck: NeckConfig = SingleLevelConfig()
    """Neck over the backbone's feature maps."""
    region: RegionConfig = RegionConfig(
        pooling="max", samples_per_image=64, min_negative_iou=0.1, box_beta=1.0, nms_iou=0.3, head=RegionConfig().head.replace(hidden=4096)
    )
    """Second stage: classifies and refines each region."""
    scales: tuple[float, ...] = Field(default=(1.0,), min_length=1)
    """Factors on the size of the preprocessed image at which feature maps are computed; with several, each region is pooled from the scale
    at which it is nearest to 224 x 224 pixels (section 2.4)."""

    def build(self, num_classes: int) -> FastRCNN:
        """Build the detector for ``num_classes`` classes with randomly initialized weights.

        Raises:
            ValueError: If the parts do not fit together.
        """
        backbone = self.backbone.build()
        neck = self.neck.build(backbone)
        pooled = min(len(backbone.channels), len(neck.channels))
        if self.scales == (1.0,):
            return FastRCNN(neck, self.region.build(neck.channels[:pooled], neck.strides[:pooled], num_classes))
        if pooled > 1:
            raise ValueError(f"model.scales: several scales need one feature map, got {pooled} levels; set model.neck.kind=single")
        if min(self.scales) <= 0:
            raise ValueError(f"model.scales: expected factors above 0, got {self.scales}")
        channels, strides = neck.channels * len(self.scales), [neck.strides[0] / factor for factor in self.scales]
        return FastRCNN(neck, self.region.build(channels, strides, num_classes, self.scales), self.scales)


class FastRCNN(Detector):
    """Classifies and refines given proposals.

    Args:
        neck: Computes the feature maps.
        region: The second stage.
        scales: Factors on the size of the images at which feature maps are computed.
    """

    takes_proposals = True

    def __init__(self, neck: nn.Module, region: RegionClassifier, scales: tuple[float, ...] = (1.0,)) -> None:
        super().__init__(neck, region.num_classes)
        self.region, self.scales = region, scales

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None, targets: Sequence[Targets] | None = None) -> Raw:
        """Return the number of proposals per image ``(B,)``, their boxes ``(N, 4)`` and scores ``(N,)``, and the maps."""
        given = proposals or [Proposals.empty(batch.images.device)] * len(batch)
        counts = torch.tensor([len(rows) for rows in given])
        merged = Proposals.cat(given)
        return (counts, merged.boxes, merged.scores, *self.maps(batch.images))

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps of normalized, padded images; with several scales one for each."""
        if self.scales == (1.0,):
            maps: tuple[Tensor, ...] = self.neck(images)
            return maps
        return tuple(self.neck(resize(images, factor))[0] for factor in self.scales)

    def region_source(self, maps: Sequence[Tensor]) -> RegionSource:
        """Return the source that regions are pooled from."""
        return maps

    def loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """Return ``region_class`` and, with box regression, ``region_box``."""
        return self.region.loss(self.region_source(raw[3:]), self.region.sample_batch(split_proposals(raw), batch, targets))

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """See :meth:`Detector.detect`."""
        return self.region.detect(self.region_source(raw[3:]), split_proposals(raw), batch, self.unreported)

    def explain(self, raw: Raw, batch: Batch, targets: Targets) -> tuple[StageExplanation, ...]:
        """Explain the second stage; see :meth:`Detector.explain`."""
        (proposals,) = split_proposals(raw)
        return (self.region.explain(self.region_source(raw[3:]), proposals, batch, targets, self.unreported),)

    def class_layout(self) -> dict[str, ClassLayout]:
        """See :func:`detkit.models.regions.region_layout`."""
        return region_layout(self.region)


def split_proposals(raw: Raw) -> list[Proposals]:
    """Return the proposals of each image, from the outputs of :meth:`FastRCNN.raw`."""
    counts: list[int] = raw[0].tolist()
    parts = zip(torch.split(raw[1], counts), torch.split(raw[2], counts), strict=True)
    return [Proposals(boxes, scores) for boxes, scores in parts]


def resize(images: Tensor, factor: float) -> Tensor:
    """Resize a batch of images by ``factor``, bilinear, with antialiasing when shrinking."""
    if factor == 1:
        return images
    size = [max(1, round(side * factor)) for side in images.shape[-2:]]
    resized: Tensor = functional.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=factor < 1)
    return resized
