"""RetinaNet's head (arXiv:1708.02002): anchors at every cell, a tower for their classes and one for their boxes, the focal loss."""

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
"""Three sizes an octave for P3 to P7 (section 4), cut to whole pixels as torchvision does."""


class RetinaNetHeadConfig(Config):
    """The numbers of RetinaNet's head; the defaults are torchvision's."""

    anchors: AnchorConfig = ANCHORS
    """The anchors of every level."""
    depth: int = Field(4, ge=1)
    """3x3 convolutions of each tower."""
    norm: NormName | None = None
    """The towers' norm; torchvision's second generation has ``group``."""
    prior: float = Field(0.01, gt=0, lt=1)
    """Probability that an untrained head gives every class (section 4.1)."""
    positive_iou: float = Field(0.5, ge=0, le=1)
    """IoU with an object that makes an anchor positive."""
    negative_iou: float = Field(0.4, ge=0, le=1)
    """IoU below which an anchor is background."""
    allow_low_quality: bool = True
    """Whether each object's best anchors are positive however low their IoU, as in an RPN."""
    focal: FocalConfig = FocalConfig()
    """The loss of the classes."""
    box_loss: Literal["smooth_l1"] | BoxLossName = "smooth_l1"
    """The loss of the boxes: of their deltas, or of how they overlap what they should be."""
    beta: float = Field(0.0, ge=0)
    """Where the smooth L1 loss turns from quadratic to linear; 0 is the L1 loss."""
    postprocess: PostprocessConfig = PostprocessConfig(max_detections=300)
    """Which boxes become detections."""

    def build(self, channels: Sequence[int], num_classes: int) -> RetinaNetHead:
        """The module, over maps with these channels.

        Raises:
            ValueError: the levels differ in channels, or the anchors are for another number of levels.
        """
        anchors = self.anchors.build(len(channels))
        width = common_channels(channels, "retinanet")
        dense = DenseHead(width, anchors.per_cell, num_classes, depth=self.depth, shared=False, norm=self.norm, prior=self.prior)
        return RetinaNetHead(dense, anchors, self)


class RetinaNetHead(OneStageHead):
    """Classifies every anchor and moves it.

    Args:
        dense: Makes logits and deltas.
        anchors: Its anchors.
        config: The numbers.
    """

    outputs = 2

    def __init__(self, dense: DenseHead, anchors: GridAnchors, config: RetinaNetHeadConfig) -> None:
        super().__init__(dense.num_classes, config.postprocess)
        self.dense, self.anchors, self.config = dense, anchors, config

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """``(B, N, K)`` logits and ``(B, N, 4)`` deltas."""
        outputs: Outputs = self.dense(maps)
        return outputs

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """``(N_l, 4)`` anchors of each level."""
        levels: list[Tensor] = self.anchors(batch.padded_size, grids)
        return levels

    def assignment(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """By IoU."""
        config, anchors = self.config, torch.cat(locations)
        rule = {"positive_iou": config.positive_iou, "negative_iou": config.negative_iou}
        return [match_by_iou(anchors, rows, **rule, allow_low_quality=config.allow_low_quality) for rows in targets]

    def scores(self, outputs: Outputs) -> Tensor:
        """A sigmoid for each class."""
        return outputs[0].sigmoid()

    def boxes(self, outputs: Outputs, locations: Tensor, image: int, selection: Selection) -> Tensor:
        """The anchors, moved."""
        return decode(outputs[1][image, selection.rows], locations[selection.rows])

    def loss(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """``class`` and ``box``: of each image divided by its positive anchors (section 4.1), the mean over the images."""
        (logits, deltas), anchors = outputs, torch.cat(locations)
        images = mean_over_processes(logits.new_tensor(float(len(targets))))
        classes, boxes = [], []
        for image, (target, assignment) in enumerate(zip(targets, self.assignment(outputs, locations, batch, targets), strict=True)):
            positive = (assignment >= 0).nonzero().flatten()
            count = max(1, len(positive))
            classes.append(self.config.focal.loss(logits[image], assignment, target.labels) / count)
            boxes.append(self._box_loss(deltas[image, positive], anchors[positive], target.boxes[assignment[positive]]) / count)
        return {"class": torch.stack(classes).sum() / images, "box": torch.stack(boxes).sum() / images}

    def _box_loss(self, deltas: Tensor, anchors: Tensor, wanted: Tensor) -> Tensor:
        """Sum over ``(n, 4)`` rows."""
        if self.config.box_loss == "smooth_l1":
            return smooth_l1(deltas, encode(wanted, anchors), self.config.beta)
        return BOX_LOSSES[self.config.box_loss](decode(deltas, anchors), wanted).sum()

    def class_layout(self) -> Mapping[str, tuple[int, int, int, int]]:
        """The last layer of the classes: anchor by anchor."""
        return {f"dense.logits.{part}": (self.dense.num_anchors, 1, 0, 0) for part in ("weight", "bias")}
