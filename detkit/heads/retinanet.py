"""RetinaNet's head (arXiv:1708.02002): anchors, one tower for classes and one for boxes, and the focal loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from detkit.heads.anchors import AnchorConfig, GridAnchors
from detkit.heads.assigned import AssignedTargets, AssigningHead
from detkit.heads.class_layout import ClassLayout
from detkit.heads.dense import DenseHead
from detkit.heads.dense_config import DenseHeadConfig
from detkit.heads.one_stage import Outputs
from detkit.heads.postprocess import PostprocessConfig
from detkit.ops.coder import decode, encode
from detkit.ops.losses import BOX_LOSSES, BoxLossName, smooth_l1
from detkit.ops.match import match_by_iou
from detkit.ops.match_atss import match_atss
from detkit.ops.select import Selection
from detkit.structures import Batch, Size, Targets

ANCHORS = AnchorConfig(sizes=((32.0, 40.0, 50.0), (64.0, 80.0, 101.0), (128.0, 161.0, 203.0), (256.0, 322.0, 406.0), (512.0, 645.0, 812.0)))
"""Three sizes per octave for P3 to P7 (section 4), truncated to whole pixels as in torchvision."""


class RetinaNetHeadConfig(DenseHeadConfig):
    """Parameters of RetinaNet's head; the defaults are those of torchvision, whose version 2 has the norm ``group``."""

    anchors: AnchorConfig = ANCHORS
    """Anchors of every level."""
    positive_iou: float = Field(0.5, ge=0, le=1)
    """IoU with an object from which an anchor is positive."""
    negative_iou: float = Field(0.4, ge=0, le=1)
    """IoU below which an anchor is background."""
    allow_low_quality: bool = True
    """Whether each object's best anchors are positive at any IoU, as in an RPN."""
    box_loss: Literal["smooth_l1"] | BoxLossName = "smooth_l1"
    """Loss of the boxes: ``smooth_l1`` on their deltas, or a loss on their overlap with the target."""
    beta: float = Field(0.0, ge=0)
    """Error at which the smooth L1 loss changes from quadratic to linear; 0 gives the L1 loss."""
    postprocess: PostprocessConfig = PostprocessConfig(max_detections=300)
    """How scored boxes become detections."""

    def build(self, channels: Sequence[int], strides: Sequence[int], num_classes: int, input_size: Size | None = None) -> RetinaNetHead:
        """Build the head; see :meth:`OneStageHeadConfig.build`.

        Raises:
            ValueError: If the levels differ in channels, or the anchors are for another number of levels.
        """
        anchors = self.anchors.build(len(channels))
        return RetinaNetHead(self.towers(channels, anchors.per_cell, num_classes), anchors, self)


class RetinaNetHead(AssigningHead):
    """Classifies every anchor and refines it.

    The losses of each image are divided by its positive anchors (section 4.1) and averaged over the images.

    Args:
        dense: Predicts logits and deltas.
        anchors: Its anchors.
        config: Assignment, losses and postprocessing.
    """

    num_outputs = 2
    loss_divisor = "images"

    def __init__(self, dense: DenseHead, anchors: GridAnchors, config: RetinaNetHeadConfig) -> None:
        super().__init__(dense.num_classes, config.postprocess)
        self.dense, self.anchors, self.config = dense, anchors, config

    def forward(self, maps: Sequence[Tensor], batch: Batch) -> Outputs:
        """Return ``(B, N, K)`` logits and ``(B, N, 4)`` deltas."""
        outputs: Outputs = self.dense(maps)
        return outputs

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """Return the ``(N_l, 4)`` anchors of each level."""
        levels: list[Tensor] = self.anchors(batch.padded_size, grids)
        return levels

    def match(self, locations: list[Tensor], targets: Targets) -> Tensor:
        """Assign by IoU, or by ATSS."""
        config = self.config
        if config.atss_top_k is not None:
            return match_atss(locations, targets, top_k=config.atss_top_k)
        thresholds = {"positive_iou": config.positive_iou, "negative_iou": config.negative_iou}
        return match_by_iou(torch.cat(locations), targets, **thresholds, allow_low_quality=config.allow_low_quality)

    def scores(self, outputs: Outputs) -> Tensor:
        """Return a sigmoid for each class."""
        return outputs[0].sigmoid()

    def boxes(self, outputs: Outputs, locations: Tensor, image: int, selection: Selection) -> Tensor:
        """Decode the deltas of the selected anchors."""
        return decode(outputs[1][image, selection.rows], locations[selection.rows])

    def image_losses(self, outputs: Outputs, assigned: AssignedTargets) -> dict[str, Tensor]:
        """Return ``class`` and ``box`` of one image."""
        (logits, deltas), count = outputs, max(1, len(assigned.positive))
        return {
            "class": self.config.focal.loss(logits, assigned.assignment, assigned.targets.labels) / count,
            "box": self._box_loss(deltas[assigned.positive], assigned.locations, assigned.boxes) / count,
        }

    def _box_loss(self, deltas: Tensor, anchors: Tensor, target_boxes: Tensor) -> Tensor:
        """Return the loss summed over ``(n, 4)`` rows."""
        if self.config.box_loss == "smooth_l1":
            return smooth_l1(deltas, encode(target_boxes, anchors), self.config.beta)
        return BOX_LOSSES[self.config.box_loss](decode(deltas, anchors), target_boxes).sum()

    def class_layout(self) -> Mapping[str, ClassLayout]:
        """Return the layout of the last layer of the classes: anchor by anchor."""
        return {f"dense.logits.{part}": ClassLayout(groups=self.dense.num_anchors) for part in ("weight", "bias")}
