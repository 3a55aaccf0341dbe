"""Faster R-CNN (arXiv:1506.01497) on a feature pyramid (arXiv:1612.03144) or on a single map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import nn

from detkit.backbones.loading import LoadedBackbone
from detkit.heads.region_classifier import RegionClassifier, RegionConfig
from detkit.heads.rpn import RPN, RPNConfig
from detkit.models.class_embeddings import region_layout
from detkit.models.classifier_layers import load_with_head
from detkit.models.detector import ClassLayout, Detector, DetectorConfig, Losses, Raw
from detkit.necks import FPNConfig, NeckConfig
from detkit.structures import Batch, Detections, Proposals, StageExplanation, Targets


class FasterRCNNConfig(DetectorConfig):
    """Faster R-CNN; the defaults are those of torchvision's ``fasterrcnn_resnet50_fpn``."""

    kind: Literal["faster_rcnn"] = "faster_rcnn"
    """Which detector this is."""
    neck: NeckConfig = FPNConfig()
    """What makes the maps of the backbone fit for detection."""
    rpn: RPNConfig = RPNConfig()
    """The first stage: which regions may hold an object."""
    region: RegionConfig = RegionConfig()
    """The second stage: what each region shows."""

    def load_pretrained(self, detector: Detector) -> LoadedBackbone:
        """Fill the backbone, and of the second stage what its classifier has of the same shape, with the weights that the config names.

        Raises:
            FileNotFoundError: the weights are not on this machine; the message says how to get them.
        """
        return load_with_head(detector, self.backbone)

    def build(self, num_classes: int) -> FasterRCNN:
        """The detector with random numbers, for so many classes.

        Raises:
            ValueError: parts do not fit together.
        """
        backbone = self.backbone.build()
        neck = self.neck.build(backbone)
        # Levels that the neck adds on top serve the RPN alone, as in the FPN paper, section 4.2.
        pooled = len(backbone.channels)
        rpn = self.rpn.build(neck.channels)
        region = self.region.build(neck.channels[:pooled], neck.strides[:pooled], num_classes)
        return FasterRCNN(neck, rpn, region)


class FasterRCNN(Detector):
    """Two stages on shared maps: regions are proposed, then classified and refined.

    Args:
        neck: Makes the maps.
        rpn: The first stage.
        region: The second stage.
    """

    def __init__(self, neck: nn.Module, rpn: RPN, region: RegionClassifier) -> None:
        super().__init__(neck, region.num_classes)
        self.rpn, self.region = rpn, region

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None) -> Raw:
        """``(B, N)`` objectness logits, ``(B, N, 4)`` deltas, and the maps that regions are pooled from."""
        maps = self.neck(batch.images)
        return (*self.rpn(maps), *maps)

    def loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """``rpn_objectness``, ``rpn_box``, ``region_class`` and ``region_box``."""
        return self.rpn_loss(raw, batch, targets) | self.region_loss(raw, batch, targets)

    def rpn_loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """The losses of the first stage."""
        logits, deltas, *maps = raw
        return self.rpn.loss(logits, deltas, self.rpn.anchors_on(maps, batch), batch, targets)

    def region_loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets], proposals: Sequence[Proposals] | None = None) -> Losses:
        """The losses of the second stage, on given proposals or on the first stage's."""
        proposals_config = self.proposed(raw, batch, training=True) if proposals is None else proposals
        return self.region.loss(raw[2:], proposals_config, batch, targets)

    def proposed(self, raw: Raw, batch: Batch, *, training: bool) -> list[Proposals]:
        """The regions that the first stage proposes, as many as in ``training`` or in detection."""
        logits, deltas, *maps = raw
        return self.rpn.propose(logits, deltas, self.rpn.anchors_on(maps, batch), batch, training=training)

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """See :meth:`Detector.detect`."""
        return self.region.detect(raw[2:], self.proposed(raw, batch, training=False), batch, self.unreported)

    def explain(self, raw: Raw, batch: Batch, targets: Targets) -> tuple[StageExplanation, ...]:
        """See :meth:`Detector.explain`: the regions that are proposed for a detection, and what becomes of them."""
        logits, deltas, *maps = raw
        anchors = self.rpn.anchors_on(maps, batch)
        first = self.rpn.explain(logits, deltas, anchors, batch, targets)
        proposals = Proposals(first.after_nms.boxes, first.after_nms.scores)
        return first, self.region.explain(maps, proposals, batch, targets, self.unreported)

    def class_layout(self) -> dict[str, ClassLayout]:
        """See :func:`detkit.models.class_embeddings.region_layout`."""
        return region_layout(self.region)
