"""FCOS's head (arXiv:1904.01355): a class, the distances to the box sides and a center-ness for every point inside an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from detkit.heads.assigned import AssignedTargets, AssigningHead
from detkit.heads.class_layout import ClassLayout
from detkit.heads.dense import DenseHead
from detkit.heads.dense_config import DenseHeadConfig
from detkit.heads.one_stage import Outputs
from detkit.heads.postprocess import PostprocessConfig
from detkit.layers import NormName
from detkit.ops.anchors import grid_points, grid_strides
from detkit.ops.coder import from_distances, to_distances
from detkit.ops.losses import BOX_LOSSES, BoxLossName, binary_cross_entropy
from detkit.ops.match_atss import match_atss, square_anchors
from detkit.ops.match_points import match_points
from detkit.ops.select import Selection
from detkit.structures import Batch, Size, Targets

MAX_EXPONENT = 10.0
"""Maximum exponent of a distance, which keeps it finite: 22,000 pixels."""


class FCOSHeadConfig(DenseHeadConfig):
    """Parameters of FCOS's head; the defaults are those of torchvision."""

    norm: NormName | None = "group"
    """Norm of the towers."""
    offset: float = Field(0.0, ge=0, le=1)
    """Position of a point in its cell, in strides: 0 is the corner (torchvision), 0.5 the center (section 3.1)."""
    center_radius: float | None = Field(1.5, gt=0)
    """Points up to this many strides from the center of an object are assigned to it (arXiv:2006.09214); none: all points in its box."""
    regress_range: float = Field(8.0, gt=0)
    """A level is assigned the objects whose farthest side is less than this many strides away, and more than half as many (section 3.2)."""
    distance_encoding: Literal["strides", "exp"] = "strides"
    """How distances are predicted: ``strides``, a ReLU in units of the stride, or ``exp``, the exponential of the output times a learned
    factor per level."""
    centerness_tower: Literal["boxes", "classes"] = "boxes"
    """Tower that predicts the center-ness."""
    box_loss: BoxLossName = "giou"
    """Loss of the boxes."""
    score_rule: Literal["root", "product"] = "root"
    """Score of a detection: ``product``, class probability times center-ness, or ``root``, the square root of the product."""
    min_class_score: float = Field(0.0, ge=0, lt=1)
    """Detections must have a class probability above this, in addition to ``postprocess.min_score`` for their score."""
    postprocess: PostprocessConfig = PostprocessConfig(min_score=0.2, nms_iou=0.6)
    """How scored boxes become detections."""

    def build(self, channels: Sequence[int], strides: Sequence[int], num_classes: int, input_size: Size | None = None) -> FCOSHead:
        """Build the head; see :meth:`OneStageHeadConfig.build`.

        Raises:
            ValueError: If the levels differ in channels.
        """
        return FCOSHead(self.towers(channels, 1, num_classes, bias=True, quality=self.centerness_tower), strides, self)


class FCOSHead(AssigningHead):
    """Classifies every point and predicts the box around it.

    Args:
        dense: Predicts logits, distances before scaling, and center-ness.
        strides: Strides of the maps in pixels.
        config: Assignment, losses and postprocessing.
    """

    num_outputs = 3
    scales: Tensor

    def __init__(self, dense: DenseHead, strides: Sequence[int], config: FCOSHeadConfig) -> None:
        super().__init__(dense.num_classes, config.postprocess)
        self.dense, self.strides, self.config = dense, tuple(strides), config
        if config.distance_encoding == "exp":
            self.scales = nn.Parameter(torch.ones(len(strides)))
        else:
            self.register_buffer("scales", torch.tensor(self.strides, dtype=torch.float32), persistent=False)

    def forward(self, maps: Sequence[Tensor], batch: Batch) -> Outputs:
        """Return ``(B, N, K)`` logits, ``(B, N, 4)`` distances in pixels, and ``(B, N)`` center-ness logits."""
        logits, distances, centerness = self.dense(maps)
        cells = [m.shape[-2] * m.shape[-1] for m in maps]
        scales = torch.cat([scale.expand(count) for scale, count in zip(self.scales.float(), cells, strict=True)])[:, None]
        if self.config.distance_encoding == "exp":
            return logits, (distances * scales).clamp(max=MAX_EXPONENT).exp(), centerness
        return logits, distances.relu() * scales, centerness

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """Return the ``(N_l, 2)`` points of each level."""
        strides = grid_strides(batch.padded_size, grids)
        device = batch.images.device
        return [grid_points(grid, stride, self.config.offset, device) for grid, stride in zip(grids, strides, strict=True)]

    def match(self, locations: list[Tensor], targets: Targets) -> Tensor:
        """Assign by a point's position in an object and by the object's size, or by ATSS with one square anchor per point."""
        config, radius = self.config, self.config.center_radius
        if config.atss_top_k is not None:
            return match_atss(square_anchors(locations, self.strides), targets, top_k=config.atss_top_k)
        return match_points(locations, targets, strides=self.strides, center_radius=radius, regress_range=config.regress_range)

    def scores(self, outputs: Outputs) -> Tensor:
        """Return scores from class probability and center-ness; 0 where the class probability is at most ``min_class_score``."""
        scores, min_class_score = self.raw_scores(outputs), self.config.min_class_score
        return scores.masked_fill(outputs[0].sigmoid() <= min_class_score, 0.0) if min_class_score else scores

    def raw_scores(self, outputs: Outputs) -> Tensor:
        """Return scores from class probability and center-ness."""
        scores = outputs[0].sigmoid() * outputs[2].sigmoid()[..., None]
        if self.config.score_rule == "product":
            return scores
        if not scores.requires_grad:
            return scores.sqrt()
        zero = scores == 0  # of logits below about -88; the slope of the root is infinite there
        return scores.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)

    def boxes(self, outputs: Outputs, locations: Tensor, image: int, selection: Selection) -> Tensor:
        """Return the boxes around the points."""
        return from_distances(outputs[1][image, selection.rows], locations[selection.rows])

    def image_losses(self, outputs: Outputs, assigned: AssignedTargets) -> dict[str, Tensor]:
        """Return ``class``, ``box`` and ``centerness`` of one image (equation 2)."""
        logits, distances, centerness = outputs
        predicted = from_distances(distances[assigned.positive], assigned.locations)
        central = centerness_of(to_distances(assigned.boxes, assigned.locations))
        return {
            "class": self.config.focal.loss(logits, assigned.assignment, assigned.targets.labels),
            "box": BOX_LOSSES[self.config.box_loss](predicted, assigned.boxes).sum(),
            "centerness": binary_cross_entropy(centerness[assigned.positive], central),
        }

    def class_layout(self) -> Mapping[str, ClassLayout]:
        """Return the layout of the last layer of the classes."""
        return {f"dense.logits.{part}": ClassLayout() for part in ("weight", "bias")}


def centerness_of(distances: Tensor) -> Tensor:
    """Return the center-ness of points inside a box (equation 3).

    Args:
        distances: ``(..., 4)`` distances to the sides of the box, all positive.

    Returns:
        ``(...)``, from 1 at the center of the box to 0 at its sides.
    """
    pairs = torch.stack((distances[..., 0::2], distances[..., 1::2]), -2)
    return (pairs.amin(-1) / pairs.amax(-1)).prod(-1).sqrt()
