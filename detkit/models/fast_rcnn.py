"""Fast R-CNN (arXiv:1504.08083): maps of the whole image once, then every proposal pooled from them, classified and refined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones import BackboneConfig
from detkit.backbones.loading import LoadedBackbone
from detkit.heads.region_classifier import RegionClassifier, RegionConfig, RegionSource
from detkit.models.class_embeddings import region_layout
from detkit.models.classifier_layers import load_with_head
from detkit.models.detector import ClassLayout, Detector, DetectorConfig, Losses, Raw
from detkit.necks import NeckConfig, SingleLevelConfig
from detkit.proposals import ProposalsConfig
from detkit.structures import Batch, Detections, Proposals, StageExplanation, Targets


class ProposalDetectorConfig(DetectorConfig):
    """What the configs of detectors that are told where to look have in common."""

    proposals: ProposalsConfig = ProposalsConfig(max_proposals=2000)
    """Where proposals come from; the papers have about 2,000 a image, of selective search's fast mode."""
    region: RegionConfig = RegionConfig()
    """What each region shows."""

    @property
    def proposals_config(self) -> ProposalsConfig:
        """See :attr:`DetectorConfig.told`."""
        return self.proposals

    def load_pretrained(self, detector: Detector) -> LoadedBackbone:
        """Fill the backbone, and of the head what its classifier has of the same shape, with the weights that the config names.

        Raises:
            FileNotFoundError: the weights are not on this machine; the message says how to get them.
        """
        return load_with_head(detector, self.backbone)


class FastRCNNConfig(ProposalDetectorConfig):
    """Fast R-CNN; the numbers are the paper's (sections 2.2 to 2.4) and those of its released code.

    Differences from the paper: images without objects take part, all their proposals being background; a image's true boxes count as
    its proposals in training, which the paper does not say and its code does.
    """

    kind: Literal["fast_rcnn"] = "fast_rcnn"
    """Which detector this is."""
    backbone: BackboneConfig = BackboneConfig(levels=("c4",))
    """The network that makes the maps."""
    neck: NeckConfig = SingleLevelConfig()
    """What makes the maps of the backbone fit for detection."""
    region: RegionConfig = RegionConfig(
        pooling="max", samples_per_image=64, min_negative_iou=0.1, box_beta=1.0, nms_iou=0.3, head=RegionConfig().head.replace(hidden=4096)
    )
    """What each region shows."""
    scales: tuple[float, ...] = Field(default=(1.0,), min_length=1)
    """Factors on the image, as it comes, at which maps are made; with several, each region is pooled where it is nearest to 224 x 224
    pixels (section 2.4)."""

    def build(self, num_classes: int) -> FastRCNN:
        """The detector with random numbers, for so many classes.

        Raises:
            ValueError: parts do not fit together.
        """
        backbone = self.backbone.build()
        neck = self.neck.build(backbone)
        pooled = min(len(backbone.channels), len(neck.channels))
        if self.scales == (1.0,):
            return FastRCNN(neck, self.region.build(neck.channels[:pooled], neck.strides[:pooled], num_classes))
        if pooled > 1:
            raise ValueError(f"model.scales: several are for one map, got {pooled} levels of a pyramid; set model.neck.kind=single")
        if min(self.scales) <= 0:
            raise ValueError(f"model.scales: expected factors above 0, got {self.scales}")
        channels, strides = neck.channels * len(self.scales), [neck.strides[0] / factor for factor in self.scales]
        return FastRCNN(neck, self.region.build(channels, strides, num_classes, self.scales), self.scales)


class FastRCNN(Detector):
    """Classifies and refines the proposals that it is given.

    Args:
        neck: Makes the maps.
        region: What each region shows.
        scales: Factors on the images at which maps are made.
    """

    takes_proposals = True

    def __init__(self, neck: nn.Module, region: RegionClassifier, scales: tuple[float, ...] = (1.0,)) -> None:
        super().__init__(neck, region.num_classes)
        self.region, self.scales = region, scales

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None) -> Raw:
        """``(B,)`` how many proposals each image has, ``(N, 4)`` their boxes, ``(N,)`` their scores, and the maps."""
        given = proposals or [Proposals.empty(batch.images.device)] * len(batch)
        counts = torch.tensor([len(rows) for rows in given])
        whole = Proposals.cat(given)
        return (counts, whole.boxes, whole.scores, *self.maps(batch.images))

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps of normalized, padded images; with several scales one for each."""
        if self.scales == (1.0,):
            found: tuple[Tensor, ...] = self.neck(images)
            return found
        return tuple(self.neck(resized(images, factor))[0] for factor in self.scales)

    def source(self, maps: Sequence[Tensor]) -> RegionSource:
        """What regions are cut from."""
        return maps

    def loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """``region_class`` and, where boxes are learned, ``region_box``."""
        return self.region.loss(self.source(raw[3:]), proposals_in(raw), batch, targets)

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """See :meth:`Detector.detect`."""
        return self.region.detect(self.source(raw[3:]), proposals_in(raw), batch, self.unreported)

    def explain(self, raw: Raw, batch: Batch, targets: Targets) -> tuple[StageExplanation, ...]:
        """See :meth:`Detector.explain`: what becomes of the proposals."""
        (proposals,) = proposals_in(raw)
        return (self.region.explain(self.source(raw[3:]), proposals, batch, targets, self.unreported),)

    def class_layout(self) -> dict[str, ClassLayout]:
        """See :func:`detkit.models.class_embeddings.region_layout`."""
        return region_layout(self.region)


def proposals_in(raw: Raw) -> list[Proposals]:
    """The proposals of each image, from what :meth:`FastRCNN.raw` gives."""
    counts: list[int] = raw[0].tolist()
    parts = zip(torch.split(raw[1], counts), torch.split(raw[2], counts), strict=True)
    return [Proposals(boxes, scores) for boxes, scores in parts]


def resized(images: Tensor, factor: float) -> Tensor:
    """A batch of images at another size, bilinear; averaged where they shrink."""
    if factor == 1:
        return images
    size = [max(1, round(side * factor)) for side in images.shape[-2:]]
    made: Tensor = functional.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=factor < 1)
    return made
