"""YOLOv1's head (arXiv:1506.02640, section 2): fully connected layers over the whole map that predict every cell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from detkit.heads.assigned import AssignedTargets, AssigningHead
from detkit.heads.class_layout import ClassLayout
from detkit.heads.float32 import Float32Linear
from detkit.heads.one_stage import OneStageHeadConfig, Outputs
from detkit.heads.postprocess import PostprocessConfig
from detkit.layers import Leaky
from detkit.layers.cells import map_to_cells
from detkit.ops.boxes import cxcywh_to_xyxy, paired_iou, xyxy_to_cxcywh
from detkit.ops.match import BACKGROUND
from detkit.ops.match_cells import match_by_cell
from detkit.ops.select import Selection
from detkit.structures import Batch, Size, Targets


class YOLOv1HeadConfig(OneStageHeadConfig):
    """Parameters of YOLOv1's head; the defaults are those of the paper, except ``postprocess``, of which it says little."""

    boxes_per_cell: int = Field(2, ge=1)
    """B, the number of boxes per cell."""
    hidden: tuple[int, ...] = (4096,)
    """Widths of the fully connected layers before the last one; Fast YOLO has two."""
    by_cell: bool = False
    """Whether each cell is predicted from its own cell of the map, with layers shared by all cells, as in YOLOv2 (arXiv:1612.08242, section
    2). In the paper, fully connected layers predict every cell from the whole map, with separate weights."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout probability after the last hidden layer (section 2.2)."""
    coordinate_weight: float = Field(5.0, ge=0)
    """Weight of the box errors in the loss."""
    background_weight: float = Field(0.5, ge=0)
    """Weight of the confidence error of boxes without an object."""
    postprocess: PostprocessConfig = PostprocessConfig(min_score=0.001, pre_nms_top_k=None, nms_iou=0.5)
    """How scored boxes become detections; the threshold and the NMS IoU are those of Darknet's validation."""

    def build(self, channels: Sequence[int], strides: Sequence[int], num_classes: int, input_size: Size | None = None) -> YOLOv1Head:
        """Build the head for the cells of one map; see :meth:`OneStageHeadConfig.build`.

        Raises:
            ValueError: If there are several maps, or no ``input_size``.
        """
        if len(channels) != 1 or input_size is None:
            raise ValueError(
                f"yolov1: expected one map and a fixed input size, got {len(channels)} maps and input size {input_size}; "
                "use model.neck.kind=yolov1 and model.preprocess.rule=fixed"
            )
        grid = (-(-input_size[0] // strides[0]), -(-input_size[1] // strides[0]))
        return YOLOv1Head(channels[0], grid, num_classes, self)


class YOLOv1Head(AssigningHead):
    """Predicts for each cell the probability of each class, and for each of its boxes the coordinates and a confidence.

    A box is its center within the cell, from 0 to 1, and the square roots of its width and height as fractions of the image's.

    Args:
        channels: Channels of the map.
        grid: Cells of the map, ``(height, width)``: S x S in the paper.
        num_classes: K.
        config: Layers, loss weights and postprocessing.
    """

    num_outputs = 3
    loss_divisor = "images"

    def __init__(self, channels: int, grid: Size, num_classes: int, config: YOLOv1HeadConfig) -> None:
        super().__init__(num_classes, config.postprocess)
        self.grid, self.config = grid, config
        self.groups = 1 if config.by_cell else math.prod(grid)
        widths = (channels * self.groups, *config.hidden)
        layers: list[nn.Module] = []
        for in_features, out_features in itertools.pairwise(widths):
            layers += [nn.Linear(in_features, out_features), Leaky()]
        self.hidden = nn.Sequential(*layers, nn.Dropout(config.dropout))
        self.last = Float32Linear(widths[-1], self.groups * (num_classes + 5 * config.boxes_per_cell))

    def forward(self, maps: Sequence[Tensor], batch: Batch) -> Outputs:
        """Return linear predictions for the S cells of the map and their N boxes.

        Returns:
            ``(B, S, K)`` class probabilities, ``(B, N)`` confidences and ``(B, N, 4)`` box coordinates.
        """
        (level,) = maps
        features = map_to_cells(level) if self.config.by_cell else level.flatten(1)
        cells = self.last(self.hidden(features)).reshape(level.shape[0], math.prod(self.grid), -1)
        classes, confidences, coordinates = cells.split((self.num_classes, self.config.boxes_per_cell, 4 * self.config.boxes_per_cell), -1)
        return classes, confidences.flatten(1), coordinates.reshape(level.shape[0], -1, 4)

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """Return one level of ``(N, 4)`` cells, each repeated for each of its boxes."""
        ((rows, columns),), (height, width) = grids, batch.padded_size
        y, x = (torch.arange(count, device=batch.images.device) for count in (rows, columns))
        corners = torch.stack((x.repeat(rows), y.repeat_interleave(columns)), 1)
        cells = torch.cat((corners, corners + 1), 1) * batch.images.new_tensor([width / columns, height / rows] * 2, dtype=torch.float32)
        return [cells.repeat_interleave(self.config.boxes_per_cell, 0)]

    def assignment(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """Assign by the cell that contains the center, and by the IoU of its predicted boxes."""
        count, (cells,) = self.config.boxes_per_cell, locations
        boxes = [_decode(coordinates.detach(), cells, cells[-1, 2:]).reshape(-1, count, 4) for coordinates in outputs[2]]
        return [match_by_cell(cells[::count], predicted, rows) for predicted, rows in zip(boxes, targets, strict=True)]

    def scores(self, outputs: Outputs) -> Tensor:
        """Return the class probabilities of a box's cell times the box's confidence (equation 1)."""
        classes, confidences, _ = outputs
        return classes.clamp(0, 1).repeat_interleave(self.config.boxes_per_cell, 1) * confidences.clamp(0, 1)[..., None]

    def boxes(self, outputs: Outputs, locations: Tensor, image: int, selection: Selection) -> Tensor:
        """Return the predicted boxes."""
        return _decode(outputs[2][image, selection.rows], locations[selection.rows], locations[-1, 2:])

    def image_losses(self, outputs: Outputs, assigned: AssignedTargets) -> dict[str, Tensor]:
        """Return ``box``, ``confidence`` and ``class`` of one image: the terms of equation 3."""
        (classes, confidences, coordinates), config, positive = outputs, self.config, assigned.positive
        cells, extent = assigned.locations, assigned.every_location[-1, 2:]
        overlaps = paired_iou(_decode(coordinates[positive].detach(), cells, extent), assigned.boxes)
        present = (confidences[positive] - overlaps).square().sum()
        absent = confidences[assigned.assignment == BACKGROUND].square().sum()
        class_target = functional.one_hot(assigned.labels, self.num_classes).float()
        return {
            "box": config.coordinate_weight * (coordinates[positive] - _encode(assigned.boxes, cells, extent)).square().sum(),
            "confidence": present + config.background_weight * absent,
            "class": (classes[positive // config.boxes_per_cell] - class_target).square().sum(),
        }

    def class_layout(self) -> Mapping[str, ClassLayout]:
        """Return the layout of the last layer: cell by cell, classes before confidences and boxes."""
        return {f"last.{part}": ClassLayout(groups=self.groups, after=5 * self.config.boxes_per_cell) for part in ("weight", "bias")}


def _decode(coordinates: Tensor, cells: Tensor, extent: Tensor) -> Tensor:
    """Decode ``(N, 4)`` coordinates to boxes ``(N, 4)``; ``extent`` is the image's width and height."""
    centers = cells[:, :2] + coordinates[:, :2] * (cells[:, 2:] - cells[:, :2])
    sizes = coordinates[:, 2:].square() * extent
    return cxcywh_to_xyxy(torch.cat((centers, sizes), 1))


def _encode(boxes: Tensor, cells: Tensor, extent: Tensor) -> Tensor:
    """Encode boxes as coordinates; the inverse of :func:`_decode`."""
    centered = xyxy_to_cxcywh(boxes)
    centers, sizes = centered[:, :2], centered[:, 2:]
    return torch.cat(((centers - cells[:, :2]) / (cells[:, 2:] - cells[:, :2]), (sizes / extent).sqrt()), 1)
