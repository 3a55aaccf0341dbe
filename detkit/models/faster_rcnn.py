"""Faster R-CNN (arXiv:1506.01497) on a feature pyramid (arXiv:1612.03144) or on a single map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import nn

from detkit.backbones.loading import LoadedBackbone
from detkit.heads.class_layout import ClassLayout
from detkit.heads.region.classifier import RegionClassifier, RegionConfig, RegionTargets
from detkit.heads.rpn import RPN, RPNConfig
from detkit.models.detector import Detector, DetectorConfig, Losses, Raw
from detkit.models.loading.classifier_layers import load_with_head
from detkit.models.regions import region_layout
from detkit.necks import FPNConfig, NeckConfig
from detkit.structures import Batch, Detections, Proposals, StageExplanation, Targets


class FasterRCNNConfig(DetectorConfig):
    """Faster R-CNN; the defaults are those of torchvision's ``fasterrcnn_resnet50_fpn``."""

    kind: Literal["faster_rcnn"] = "faster_rcnn"
    """Kind of detector."""
    neck: NeckConfig = FPNConfig()
    """Neck over the backbone's feature maps."""
    rpn: RPNConfig = RPNConfig()
    """First stage: proposes regions that may contain an object."""
    region: RegionConfig = RegionConfig()
    """Second stage: classifies and refines each region."""

    @property
    def region_config(self) -> RegionConfig:
        """See :attr:`DetectorConfig.region_config`."""
        return self.region

    def load_pretrained(self, detector: Detector) -> LoadedBackbone:
        """Load the weights that the config names into the backbone, and matching layers of its classifier into the second stage.

        Raises:
            FileNotFoundError: If the weights are not on this machine; the message gives the command that fetches them.
        """
        return load_with_head(detector, self.backbone)

    def build(self, num_classes: int) -> FasterRCNN:
        """Build the detector for ``num_classes`` classes with randomly initialized weights.

        Raises:
            ValueError: If the parts do not fit together.
        """
        backbone = self.backbone.build()
        neck = self.neck.build(backbone)
        # Only the RPN uses the levels that the neck adds on top (FPN paper, section 4.2).
        pooled = len(backbone.channels)
        rpn = self.rpn.build(neck.channels)
        region = self.region.build(neck.channels[:pooled], neck.strides[:pooled], num_classes)
        return FasterRCNN(neck, rpn, region)


class FasterRCNN(Detector):
    """Two stages on shared feature maps: regions are proposed, then classified and refined.

    Args:
        neck: Computes the feature maps.
        rpn: The first stage.
        region: The second stage.
    """

    def __init__(self, neck: nn.Module, rpn: RPN, region: RegionClassifier) -> None:
        super().__init__(neck, region.num_classes)
        self.rpn, self.region = rpn, region

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None, targets: Sequence[Targets] | None = None) -> Raw:
        """Return ``(B, N)`` objectness logits, ``(B, N, 4)`` deltas, and the maps that regions are pooled from."""
        maps = self.neck(batch.images)
        return (*self.rpn(maps), *maps)

    def loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """Return ``rpn_objectness``, ``rpn_box``, ``region_class`` and ``region_box``."""
        return self.rpn_loss(raw, batch, targets) | self.region_loss(raw, batch, targets)

    def rpn_loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """Return the losses of the first stage."""
        logits, deltas, *maps = raw
        return self.rpn.loss(logits, deltas, self.rpn.anchors_for(maps, batch), batch, targets)

    def region_loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets], proposals: Sequence[Proposals] | None = None) -> Losses:
        """Return the losses of the second stage, on the given proposals or on those of the first stage."""
        proposals = self.propose(raw, batch, training=True) if proposals is None else proposals
        return self.sampled_loss(raw[2:], self.region.sample_batch(proposals, batch, targets), batch, targets)

    def sampled_loss(self, maps: Raw, samples: Sequence[RegionTargets], batch: Batch, targets: Sequence[Targets]) -> Losses:
        """Return the losses of the second stage on the sampled proposals of each image; one that learns more from them adds it."""
        del batch, targets
        return self.region.loss(maps, samples)

    def propose(self, raw: Raw, batch: Batch, *, training: bool) -> list[Proposals]:
        """Return the proposals of the first stage, with its limits for ``training`` or for detection."""
        logits, deltas, *maps = raw
        return self.rpn.propose(logits, deltas, self.rpn.anchors_for(maps, batch), batch, training=training)

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """See :meth:`Detector.detect`."""
        return self.region.detect(raw[2:], self.propose(raw, batch, training=False), batch, self.unreported)

    def explain(self, raw: Raw, batch: Batch, targets: Targets) -> tuple[StageExplanation, ...]:
        """Explain the proposals for detection and the second stage on them; see :meth:`Detector.explain`."""
        logits, deltas, *maps = raw
        anchors = self.rpn.anchors_for(maps, batch)
        first = self.rpn.explain(logits, deltas, anchors, batch, targets)
        proposals = Proposals(first.after_nms.boxes, first.after_nms.scores)
        return first, self.region.explain(maps, proposals, batch, targets, self.unreported)

    def class_layout(self) -> dict[str, ClassLayout]:
        """See :func:`detkit.models.regions.region_layout`."""
        return region_layout(self.region)
