"""RetinaNet's head (arXiv:1708.02002): anchors, one tower for classes and one for boxes, and the focal loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from detkit.config import Config
from detkit.heads.anchors import AnchorConfig, GridAnchors
from detkit.heads.dense import DenseHead
from detkit.heads.focal import FocalConfig
from detkit.heads.levels import common_channels
from detkit.heads.one_stage import OneStageHead, Outputs
from detkit.heads.postprocess import PostprocessConfig
from detkit.layers import NormName, mean_over_processes
from detkit.ops.coder import decode, encode
from detkit.ops.losses import BOX_LOSSES, BoxLossName, smooth_l1
from detkit.ops.match import match_by_iou
from detkit.ops.select import Selection
from detkit.structures import Batch, Size, Targets

ANCHORS = AnchorConfig(sizes=((32.0, 40.0, 50.0), (64.0, 80.0, 101.0), (128.0, 161.0, 203.0), (256.0, 322.0, 406.0), (512.0, 645.0, 812.0)))
"""Three sizes per octave for P3 to P7 (section 4), truncated to whole pixels as in torchvision."""


class RetinaNetHeadConfig(Config):
    """Parameters of RetinaNet's head; the defaults are those of torchvision."""

    anchors: AnchorConfig = ANCHORS
    """Anchors of every level."""
    depth: int = Field(4, ge=1)
    """Number of 3x3 convolutions in each tower."""
    norm: NormName | None = None
    """Norm of the towers; torchvision's version 2 has ``group``."""
    prior: float = Field(0.01, gt=0, lt=1)
    """Initial probability of every class (section 4.1)."""
    positive_iou: float = Field(0.5, ge=0, le=1)
    """IoU with an object from which an anchor is positive."""
    negative_iou: float = Field(0.4, ge=0, le=1)
    """IoU below which an anchor is background."""
    allow_low_quality: bool = True
    """Whether each object's best anchors are positive at any IoU, as in an RPN."""
    focal: FocalConfig = FocalConfig()
    """Loss of the classes."""
    box_loss: Literal["smooth_l1"] | BoxLossName = "smooth_l1"
    """Loss of the boxes: ``smooth_l1`` on their deltas, or a loss on their overlap with the target."""
    beta: float = Field(0.0, ge=0)
    """Error at which the smooth L1 loss changes from quadratic to linear; 0 gives the L1 loss."""
    postprocess: PostprocessConfig = PostprocessConfig(max_detections=300)
    """How scored boxes become detections."""

    def build(self, channels: Sequence[int], num_classes: int) -> RetinaNetHead:
        """Build the head for feature maps with these channels.

        Raises:
            ValueError: If the levels differ in channels, or the anchors are for another number of levels.
        """
        anchors = self.anchors.build(len(channels))
        width = common_channels(channels, "retinanet")
        dense = DenseHead(width, anchors.per_cell, num_classes, depth=self.depth, shared=False, norm=self.norm, prior=self.prior)
        return RetinaNetHead(dense, anchors, self)


class RetinaNetHead(OneStageHead):
    """Classifies every anchor and refines it.

    Args:
        dense: Predicts logits and deltas.
        anchors: Its anchors.
        config: Assignment, losses and postprocessing.
    """

    num_outputs = 2

    def __init__(self, dense: DenseHead, anchors: GridAnchors, config: RetinaNetHeadConfig) -> None:
        super().__init__(dense.num_classes, config.postprocess)
        self.dense, self.anchors, self.config = dense, anchors, config

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """Return ``(B, N, K)`` logits and ``(B, N, 4)`` deltas."""
        outputs: Outputs = self.dense(maps)
        return outputs

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """Return the ``(N_l, 4)`` anchors of each level."""
        levels: list[Tensor] = self.anchors(batch.padded_size, grids)
        return levels

    def assignment(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """Assign by IoU."""
        config, anchors = self.config, torch.cat(locations)
        thresholds = {"positive_iou": config.positive_iou, "negative_iou": config.negative_iou}
        return [match_by_iou(anchors, rows, **thresholds, allow_low_quality=config.allow_low_quality) for rows in targets]

    def scores(self, outputs: Outputs) -> Tensor:
        """Return a sigmoid for each class."""
        return outputs[0].sigmoid()

    def boxes(self, outputs: Outputs, locations: Tensor, image: int, selection: Selection) -> Tensor:
        """Decode the deltas of the selected anchors."""
        return decode(outputs[1][image, selection.rows], locations[selection.rows])

    def loss(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Return ``class`` and ``box``, of each image divided by its positive anchors (section 4.1), averaged over the images."""
        (logits, deltas), anchors = outputs, torch.cat(locations)
        images = mean_over_processes(logits.new_tensor(float(len(targets))))
        classes, boxes = [], []
        for image, (target, assignment) in enumerate(zip(targets, self.assignment(outputs, locations, batch, targets), strict=True)):
            positive = (assignment >= 0).nonzero().flatten()
            count = max(1, len(positive))
            classes.append(self.config.focal.loss(logits[image], assignment, target.labels) / count)
            boxes.append(self._box_loss(deltas[image, positive], anchors[positive], target.boxes[assignment[positive]]) / count)
        return {"class": torch.stack(classes).sum() / images, "box": torch.stack(boxes).sum() / images}

    def _box_loss(self, deltas: Tensor, anchors: Tensor, target_boxes: Tensor) -> Tensor:
        """Return the loss summed over ``(n, 4)`` rows."""
        if self.config.box_loss == "smooth_l1":
            return smooth_l1(deltas, encode(target_boxes, anchors), self.config.beta)
        return BOX_LOSSES[self.config.box_loss](decode(deltas, anchors), target_boxes).sum()

    def class_layout(self) -> Mapping[str, tuple[int, int, int, int]]:
        """Return the layout of the last layer of the classes: anchor by anchor."""
        return {f"dense.logits.{part}": (self.dense.num_anchors, 1, 0, 0) for part in ("weight", "bias")}
