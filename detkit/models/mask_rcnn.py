"""Mask R-CNN (arXiv:1703.06870): Faster R-CNN with a third output for each region, the mask of its object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import nn

from detkit.heads.class_layout import ClassLayout
from detkit.heads.region.classifier import RegionClassifier, RegionTargets
from detkit.heads.region.mask import MaskHead, MaskHeadConfig
from detkit.heads.rpn import RPN
from detkit.models.detector import Losses, Raw
from detkit.models.faster_rcnn import FasterRCNN, FasterRCNNConfig
from detkit.structures import Batch, Detections, Targets


class MaskRCNNConfig(FasterRCNNConfig):
    """Mask R-CNN; the defaults are those of torchvision's ``maskrcnn_resnet50_fpn``."""

    learns_masks: ClassVar[bool] = True

    kind: Literal["mask_rcnn"] = "mask_rcnn"  # type: ignore[assignment]
    """Kind of detector."""
    mask: MaskHeadConfig = MaskHeadConfig()
    """Mask of each detected object."""

    def build(self, num_classes: int) -> MaskRCNN:
        """Build the detector for ``num_classes`` classes with randomly initialized weights.

        Raises:
            ValueError: If the parts do not fit together.
        """
        boxes = super().build(num_classes)
        strides = boxes.region.strides
        channels: tuple[int, ...] = boxes.neck.channels  # type: ignore[assignment]
        return MaskRCNN(boxes.neck, boxes.rpn, boxes.region, self.mask.build(channels[: len(strides)], strides, num_classes))


class MaskRCNN(FasterRCNN):
    """Faster R-CNN whose detections have masks.

    Args:
        neck: Computes the feature maps.
        rpn: The first stage.
        region: The second stage, which classifies and refines the boxes.
        mask: Predicts the mask in each box.
    """

    def __init__(self, neck: nn.Module, rpn: RPN, region: RegionClassifier, mask: MaskHead) -> None:
        super().__init__(neck, rpn, region)
        self.mask = mask

    def sampled_loss(self, maps: Raw, samples: Sequence[RegionTargets], batch: Batch, targets: Sequence[Targets]) -> Losses:
        """Return the losses of Faster R-CNN's second stage, and ``region_mask``."""
        return super().sampled_loss(maps, samples, batch, targets) | {"region_mask": self.mask.loss(maps, samples, batch, targets)}

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """Return the detections of each image, best first, with the probabilities of their masks."""
        return self.mask.with_masks(raw[2:], super().detect(raw, batch), compiled=self.region.compiled_pooling)

    def class_layout(self) -> dict[str, ClassLayout]:
        """Return the class layouts of the last layers; the masks have no background."""
        return super().class_layout() | {f"mask.network.logits.{part}": ClassLayout() for part in ("weight", "bias")}
