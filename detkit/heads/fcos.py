"""FCOS's head (arXiv:1904.01355): every point inside an object says its class, the distances to its sides, and how central it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from detkit.config import Config
from detkit.heads.dense import DenseHead
from detkit.heads.focal import FocalConfig
from detkit.heads.levels import common_channels
from detkit.heads.one_stage import OneStageHead, Outputs
from detkit.heads.postprocess import PostprocessConfig
from detkit.layers import NormName, loss_normalizer
from detkit.ops.anchors import grid_points, grid_strides
from detkit.ops.coder import from_distances, to_distances
from detkit.ops.losses import BOX_LOSSES, BoxLossName, binary_cross_entropy
from detkit.ops.match_points import match_points
from detkit.ops.select import Selection
from detkit.structures import Batch, Size, Targets

MAX_EXPONENT = 10.0
"""Largest exponent of a distance, so that it stays finite: 22,000 pixels."""


class FCOSHeadConfig(Config):
    """The numbers of FCOS's head; the defaults are torchvision's."""

    depth: int = Field(4, ge=1)
    """3x3 convolutions of each tower."""
    norm: NormName | None = "group"
    """The towers' norm."""
    prior: float = Field(0.01, gt=0, lt=1)
    """Probability that an untrained head gives every class."""
    offset: float = Field(0.0, ge=0, le=1)
    """Where a point lies in its cell, in strides: 0 is the corner (torchvision), 0.5 the middle (section 3.1)."""
    center_radius: float | None = Field(1.5, gt=0)
    """Points answer for an object up to so many strides from its center (arXiv:2006.09214); none: for all of it."""
    regress_range: float = Field(8.0, gt=0)
    """A level answers for objects whose farthest side is less than so many strides away, and more than half as many (section 3.2)."""
    distance_encoding: Literal["strides", "exp"] = "strides"
    """What a distance is: a ReLU in strides, or the exponential of what the layer says times a number that each level learns."""
    centerness_tower: Literal["boxes", "classes"] = "boxes"
    """The tower that says how central a point is."""
    focal: FocalConfig = FocalConfig()
    """The loss of the classes."""
    box_loss: BoxLossName = "giou"
    """The loss of the boxes."""
    score_rule: Literal["root", "product"] = "root"
    """Class probability times center-ness, or the square root of that."""
    min_class_score: float = Field(0.0, ge=0, lt=1)
    """Detections must have a greater class probability, besides ``postprocess.min_score`` for their score."""
    postprocess: PostprocessConfig = PostprocessConfig(min_score=0.2, nms_iou=0.6)
    """Which boxes become detections."""

    def build(self, channels: Sequence[int], strides: Sequence[int], num_classes: int) -> FCOSHead:
        """The module, over maps with these channels and strides.

        Raises:
            ValueError: the levels differ in channels.
        """
        dense = DenseHead(
            common_channels(channels, "fcos"),
            1,
            num_classes,
            depth=self.depth,
            shared=False,
            norm=self.norm,
            prior=self.prior,
            bias=True,
            quality=self.centerness_tower,
        )
        return FCOSHead(dense, strides, self)


class FCOSHead(OneStageHead):
    """Classifies every point and measures the box round it.

    Args:
        dense: Makes logits, distances before their scaling, and center-ness.
        strides: Of the maps, in pixels.
        config: The numbers.
    """

    outputs = 3
    scales: Tensor

    def __init__(self, dense: DenseHead, strides: Sequence[int], config: FCOSHeadConfig) -> None:
        super().__init__(dense.num_classes, config.postprocess)
        self.dense, self.strides, self.config = dense, tuple(strides), config
        if config.distance_encoding == "exp":
            self.scales = nn.Parameter(torch.ones(len(strides)))
        else:
            self.register_buffer("scales", torch.tensor(self.strides, dtype=torch.float32), persistent=False)

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """``(B, N, K)`` logits, ``(B, N, 4)`` distances in pixels, and ``(B, N)`` logits of the center-ness."""
        logits, distances, centerness = self.dense(maps)
        cells = [m.shape[-2] * m.shape[-1] for m in maps]
        scales = torch.cat([scale.expand(count) for scale, count in zip(self.scales.float(), cells, strict=True)])[:, None]
        if self.config.distance_encoding == "exp":
            return logits, (distances * scales).clamp(max=MAX_EXPONENT).exp(), centerness
        return logits, distances.relu() * scales, centerness

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """``(N_l, 2)`` points of each level."""
        strides = grid_strides(batch.padded_size, grids)
        device = batch.images.device
        return [grid_points(grid, stride, self.config.offset, device) for grid, stride in zip(grids, strides, strict=True)]

    def assignment(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """By where a point lies in an object, and how large that is."""
        config = self.config
        return [
            match_points(locations, rows, strides=self.strides, center_radius=config.center_radius, regress_range=config.regress_range)
            for rows in targets
        ]

    def scores(self, outputs: Outputs) -> Tensor:
        """Class probability and center-ness, together; with ``min_class_score`` 0 where the class alone says too little."""
        scores, least = self.raw_scores(outputs), self.config.min_class_score
        return scores.masked_fill(outputs[0].sigmoid() <= least, 0.0) if least else scores

    def raw_scores(self, outputs: Outputs) -> Tensor:
        """Class probability and center-ness, together."""
        scores = outputs[0].sigmoid() * outputs[2].sigmoid()[..., None]
        return scores.sqrt() if self.config.score_rule == "root" else scores

    def boxes(self, outputs: Outputs, locations: Tensor, image: int, selection: Selection) -> Tensor:
        """The boxes round the points."""
        return from_distances(outputs[1][image, selection.rows], locations[selection.rows])

    def loss(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """``class``, ``box`` and ``centerness``, each divided by the positive points of the batch (equation 2)."""
        (logits, distances, centerness), points = outputs, torch.cat(locations)
        classes, boxes, central, count = [], [], [], 0
        for image, (target, assignment) in enumerate(zip(targets, self.assignment(outputs, locations, batch, targets), strict=True)):
            positive = (assignment >= 0).nonzero().flatten()
            here, wanted = points[positive], target.boxes[assignment[positive]]
            found = from_distances(distances[image, positive], here)
            classes.append(self.config.focal.loss(logits[image], assignment, target.labels))
            boxes.append(BOX_LOSSES[self.config.box_loss](found, wanted).sum())
            central.append(binary_cross_entropy(centerness[image, positive], centerness_of(to_distances(wanted, here))))
            count += len(positive)
        total = loss_normalizer(logits.new_tensor(float(count)))
        sums = {"class": classes, "box": boxes, "centerness": central}
        return {name: torch.stack(parts).sum() / total for name, parts in sums.items()}

    def class_layout(self) -> Mapping[str, tuple[int, int, int, int]]:
        """The last layer of the classes."""
        return {f"dense.logits.{part}": (1, 1, 0, 0) for part in ("weight", "bias")}


def centerness_of(distances: Tensor) -> Tensor:
    """``(...)`` 1 in the middle of a box to 0 at its sides, from ``(..., 4)`` distances to these, all positive (equation 3)."""
    pairs = torch.stack((distances[..., 0::2], distances[..., 1::2]), -2)
    return (pairs.amin(-1) / pairs.amax(-1)).prod(-1).sqrt()
