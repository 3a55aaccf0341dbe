"""YOLOX's head (arXiv:2107.08430): class logits, an objectness logit and a box for every cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from detkit.heads.class_layout import ClassLayout
from detkit.heads.dense import by_anchor
from detkit.heads.float32 import Float32Conv2d
from detkit.heads.one_stage import OneStageHead, OneStageHeadConfig, Outputs
from detkit.heads.postprocess import PostprocessConfig
from detkit.layers import ACTIVATIONS, ActivationName, ConvNormAct, conv_block, loss_normalizer, set_batch_norms
from detkit.ops.anchors import grid_points
from detkit.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from detkit.ops.losses import BOX_LOSSES, BoxLossName, binary_cross_entropy, iou_loss
from detkit.ops.match import IGNORE
from detkit.ops.match_simota import match_simota
from detkit.ops.select import Selection
from detkit.structures import Batch, Size, Targets

MAX_EXPONENT = 10.0
"""Maximum exponent of a side in strides, which keeps it finite: 176,000 pixels at stride 8; the original code has no limit."""


class YOLOXHeadConfig(OneStageHeadConfig):
    """Parameters of YOLOX's head; the defaults are those of its code (version 0.3.0) for size s."""

    channels: int = Field(128, ge=1)
    """Channels of the towers: 64 for nano, 96 tiny, 128 s, 192 m, 256 l, 320 x."""
    depth: int = Field(2, ge=1)
    """Number of convolutions in each of the two towers of a level."""
    kernel: Literal[3, 5, 7] = 3
    """Kernel size of these convolutions."""
    depthwise: bool = False
    """Whether they are depthwise, followed by a 1x1 convolution, as in nano."""
    activation: ActivationName = "silu"
    """Activation after every norm."""
    prior: float = Field(0.01, gt=0, lt=1)
    """Initial probability of every class, and of an object."""
    prior_side: float = Field(1.0, gt=0)
    """Initial side of the predicted boxes in strides; 1 in the original code. With about 4, more points match an object at first."""
    center_radius: float = Field(1.5, gt=0)
    """Cells whose center is less than this many strides from an object's center are candidates for it."""
    center_inside_box: bool = False
    """Whether all cells inside an object's box are candidates too; those that are also near its center cost less. As in the first release,
    with a radius of 2.5."""
    iou_weight: float = Field(3.0, ge=0)
    """Weight of the IoU cost relative to the class cost in the assignment."""
    box_loss: Literal["iou_squared"] | BoxLossName = "iou_squared"
    """Loss of the boxes; ``iou_squared`` is the original code's 1 - IoU^2."""
    box_weight: float = Field(5.0, ge=0)
    """Weight of the loss of the boxes."""
    l1_from: float | None = Field(0.95, ge=0, le=1)
    """Fraction of the training after which an L1 loss of the deltas is added: the last 15 of 300 epochs; none: never."""
    best_class_only: bool = True
    """Whether a cell reports only its best class, as in the original code, or every class."""
    postprocess: PostprocessConfig = PostprocessConfig(min_score=0.01, pre_nms_top_k=None, nms_iou=0.65, max_detections=None)
    """How scored boxes become detections; the defaults are those of the original code's evaluation, which has no limit."""

    def build(self, channels: Sequence[int], strides: Sequence[int], num_classes: int, input_size: Size | None = None) -> YOLOXHead:
        """Build the head; see :meth:`OneStageHeadConfig.build`."""
        return YOLOXHead(channels, strides, num_classes, self)


class YOLOXHead(OneStageHead):
    """Two towers per level, one for the class and one for the box and the objectness; levels share no weights.

    Args:
        channels: Channels of the maps.
        strides: Strides of the maps in pixels.
        num_classes: K.
        config: Layers, assignment, losses and postprocessing.
    """

    num_outputs = 3

    def __init__(self, channels: Sequence[int], strides: Sequence[int], num_classes: int, config: YOLOXHeadConfig) -> None:
        super().__init__(num_classes, config.postprocess)
        self.config, self.strides = config, tuple(strides)
        self.levels = nn.ModuleList(_Level(source, num_classes, config) for source in channels)
        set_batch_norms(self)

    def forward(self, maps: Sequence[Tensor], batch: Batch) -> Outputs:
        """Return ``(B, N, K)`` class logits, ``(B, N, 1)`` objectness logits and ``(B, N, 4)`` deltas, over the cells of all levels."""
        outputs = [level(level_map) for level, level_map in zip(self.levels, maps, strict=True)]
        return tuple(torch.cat(parts, 1) for parts in zip(*outputs, strict=True))

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """Return the ``(N_l, 2)`` cell centers of each level."""
        device = batch.images.device
        return [grid_points(grid, (stride, stride), 0.5, device) for grid, stride in zip(grids, self.strides, strict=True)]

    @torch.no_grad()
    def assignment(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """Assign by SimOTA: each object to the cells with the lowest cost, computed from the predictions."""
        logits, objectness, deltas = outputs
        points, strides = torch.cat(locations), self._strides_of(locations)
        scores = (logits.sigmoid() * objectness.sigmoid()).sqrt()
        boxes = decode(deltas, points, strides)
        config, radius = self.config, self.config.center_radius * strides[:, 0]
        match = partial(match_simota, points, radius, iou_weight=config.iou_weight, center_inside_box=config.center_inside_box)
        return [match(boxes[image], scores[image], rows) for image, rows in enumerate(targets)]

    def scores(self, outputs: Outputs) -> Tensor:
        """Return class probability times objectness; with ``best_class_only`` 0 for all but a cell's best class."""
        scores = self.raw_scores(outputs)
        return scores.where(scores == scores.amax(-1, keepdim=True), 0.0) if self.config.best_class_only else scores

    def raw_scores(self, outputs: Outputs) -> Tensor:
        """Return class probability times objectness."""
        return outputs[0].sigmoid() * outputs[1].sigmoid()

    def boxes(self, outputs: Outputs, locations: Tensor, image: int, selection: Selection) -> Tensor:
        """Decode the deltas of the selected cells."""
        strides = locations.new_tensor(self.strides)[selection.levels]
        return decode(outputs[2][image][selection.rows], locations[selection.rows], strides[:, None])

    def loss(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Return ``objectness``, ``class``, ``box`` and, at the end of training, ``box_l1``, all divided by the number of positive cells.

        The class target of a cell is the IoU of its box at its target's class, and 0 at the others. Source: ``yolo_head.py``,
        ``get_losses``.
        """
        logits, objectness, deltas = outputs
        assignment = torch.stack(self.assignment(outputs, locations, batch, targets))
        positive, counted = assignment >= 0, assignment != IGNORE
        target_boxes = torch.cat([rows.boxes[assigned[assigned >= 0]] for rows, assigned in zip(targets, assignment, strict=True)])
        labels = torch.cat([rows.labels[assigned[assigned >= 0]] for rows, assigned in zip(targets, assignment, strict=True)])
        points = torch.cat(locations).expand(*assignment.shape, 2)[positive]
        strides = self._strides_of(locations).expand(*assignment.shape, 1)[positive]
        boxes = decode(deltas[positive], points, strides)
        quality = 1 - iou_loss(boxes.detach(), target_boxes)
        classes = functional.one_hot(labels, self.num_classes) * quality[:, None]
        total = loss_normalizer(positive.sum().float())
        losses = {
            "objectness": binary_cross_entropy(objectness.squeeze(-1)[counted], positive[counted].float()),
            "class": binary_cross_entropy(logits[positive], classes),
            "box": self.config.box_weight * self._box_loss(boxes, target_boxes).sum(),
        }
        if self.config.l1_from is not None and self.progress >= self.config.l1_from:
            losses["box_l1"] = (deltas[positive] - encode(target_boxes, points, strides)).abs().sum()
        return {name: loss / total for name, loss in losses.items()}

    def class_layout(self) -> Mapping[str, ClassLayout]:
        """Return the layout of the class layer of every level."""
        return {f"levels.{level}.logits.{part}": ClassLayout() for level in range(len(self.levels)) for part in ("weight", "bias")}

    def _strides_of(self, locations: list[Tensor]) -> Tensor:
        """Return the stride of each location in pixels, ``(N, 1)``."""
        return torch.cat([level.new_full((len(level), 1), stride) for level, stride in zip(locations, self.strides, strict=True)])

    def _box_loss(self, boxes: Tensor, target_boxes: Tensor) -> Tensor:
        name = self.config.box_loss
        return 1 - (1 - iou_loss(boxes, target_boxes)) ** 2 if name == "iou_squared" else BOX_LOSSES[name](boxes, target_boxes)


class _Level(nn.Module):
    """One level: a 1x1 convolution, two towers, and the last layers."""

    def __init__(self, channels: int, num_classes: int, config: YOLOXHeadConfig) -> None:
        super().__init__()
        width, activation = config.channels, ACTIVATIONS[config.activation]

        def tower() -> nn.Sequential:
            blocks = (
                conv_block(width, width, config.kernel, depthwise=config.depthwise, activation=activation) for _ in range(config.depth)
            )
            return nn.Sequential(*blocks)

        self.stem = ConvNormAct(channels, width, 1, norm="batch", activation=activation)
        self.class_tower, self.logits = tower(), Float32Conv2d(width, num_classes, 1)
        self.box_tower, self.deltas, self.objectness = tower(), Float32Conv2d(width, 4, 1), Float32Conv2d(width, 1, 1)
        for layer in (self.logits, self.objectness):
            if layer.bias is not None:
                nn.init.constant_(layer.bias, math.log(config.prior / (1 - config.prior)))
        if self.deltas.bias is not None:
            with torch.no_grad():
                self.deltas.bias[2:] += math.log(config.prior_side)

    def forward(self, level_map: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, objectness and deltas, each ``(B, H * W, ...)``."""
        x = self.stem(level_map)
        logits = self.logits(self.class_tower(x))
        boxes = self.box_tower(x)
        deltas = self.deltas(boxes)
        return by_anchor(logits, logits.shape[1]), by_anchor(self.objectness(boxes), 1), by_anchor(deltas, 4)


def decode(deltas: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """Decode deltas to ``(..., 4)`` boxes.

    The first two deltas are the center in strides from the cell's corner, which is half a stride from its center; the last two are the
    logarithms of the sides in strides.

    Args:
        deltas: ``(..., 4)``.
        points: ``(..., 2)`` cell centers in pixels.
        strides: ``(..., 1)`` pixels.
    """
    centers = (deltas[..., :2] - 0.5) * strides + points
    return cxcywh_to_xyxy(torch.cat((centers, deltas[..., 2:].clamp(max=MAX_EXPONENT).exp() * strides), -1))


def encode(boxes: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """Encode boxes as deltas; the inverse of :func:`decode`.

    A side of 0 is encoded as 1e-8 strides (the original code's ``get_l1_target``).
    """
    centered = xyxy_to_cxcywh(boxes)
    return torch.cat(((centered[..., :2] - points) / strides + 0.5, torch.log(centered[..., 2:] / strides + 1e-8)), -1)
