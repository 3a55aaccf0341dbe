"""DETR's head (arXiv:2005.12872): a transformer in which a fixed set of queries attends to a feature map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from detkit.heads.class_layout import ClassLayout
from detkit.heads.float32 import Float32Linear
from detkit.heads.one_stage import OneStageHead, OneStageHeadConfig, Outputs
from detkit.heads.postprocess import PostprocessConfig
from detkit.layers import loss_normalizer
from detkit.layers.positions import sine_positions
from detkit.layers.transformer import Decoder, Encoder, LayerSizes
from detkit.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from detkit.ops.losses import giou_loss
from detkit.ops.match import BACKGROUND, ignore_crowds
from detkit.ops.match_hungarian import match_hungarian
from detkit.ops.select import Selection
from detkit.structures import Batch, Size, Targets


class DETRHeadConfig(OneStageHeadConfig):
    """Parameters of DETR's transformer, matching and losses; the defaults are those of the released code and of the paper."""

    num_queries: int = Field(100, ge=1)
    """Number of queries, the maximum number of objects per image; further objects are not learned."""
    channels: int = Field(256, ge=4)
    """Channels of every cell and query; divisible by 4 and by ``attention_heads``."""
    attention_heads: int = Field(8, ge=1)
    """Heads of each attention layer."""
    encoder_layers: int = Field(6, ge=0)
    """Encoder layers: self-attention over the cells of the map."""
    decoder_layers: int = Field(6, ge=1)
    """Decoder layers: self-attention over the queries and cross-attention to the map."""
    hidden: int = Field(2048, ge=1)
    """Hidden width of the feed-forward network in each layer."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout probability in the transformer."""
    auxiliary_losses: bool = True
    """Whether the output of each decoder layer is matched and has its own losses (section 3.2 of the paper)."""
    target_copies: int = Field(1, ge=1)
    """Queries matched to each object; with more than one, set ``postprocess.nms_iou`` to remove duplicates. Two help on small data sets
    (label augmentation of arXiv:2203.09507)."""
    class_cost: float = Field(1.0, ge=0)
    """Weight in the matching cost of the probability of the target's class, which lowers the cost."""
    box_cost: float = Field(5.0, ge=0)
    """Weight in the matching cost of the L1 distance between the boxes, as fractions of the image."""
    giou_cost: float = Field(2.0, ge=0)
    """Weight in the matching cost of one minus the generalized IoU."""
    class_weight: float = Field(1.0, ge=0)
    """Weight of the cross entropy."""
    box_weight: float = Field(5.0, ge=0)
    """Weight of the L1 distance between matched boxes, as fractions of the image."""
    giou_weight: float = Field(2.0, ge=0)
    """Weight of one minus the generalized IoU of matched boxes."""
    no_object_weight: float = Field(0.1, gt=0)
    """Weight in the cross entropy of queries without an object, relative to 1 for the others."""
    postprocess: PostprocessConfig = PostprocessConfig(min_score=0.0, pre_nms_top_k=None, nms_iou=None, max_detections=100)
    """How queries become detections: each is reported once with its best class, without NMS."""

    @model_validator(mode="after")
    def _check_channels(self) -> Self:
        if self.channels % 4 or self.channels % self.attention_heads:
            raise ValueError(f"channels: expected a multiple of 4 and of attention_heads={self.attention_heads}, got {self.channels}")
        return self

    def build(self, channels: Sequence[int], strides: Sequence[int], num_classes: int, input_size: Size | None = None) -> DETRHead:
        """Build the head for one map; see :meth:`OneStageHeadConfig.build`.

        Raises:
            ValueError: If there are several maps.
        """
        if len(channels) != 1:
            raise ValueError(
                f"model.neck: expected one level, got {len(channels)} levels (strides {', '.join(map(str, strides))}); "
                "set model.neck.kind=single"
            )
        return DETRHead(channels[0], num_classes, self)


class DETRHead(OneStageHead):
    """Queries that attend to the whole map, each predicting one object or none.

    Its locations are the queries, which have no coordinates: :meth:`locations` returns an empty row for each.

    Args:
        in_channels: Channels of the map.
        num_classes: K; the softmax has "no object" as class K.
        config: Transformer, matching, losses and postprocessing.
    """

    num_outputs: ClassVar[int] = 2

    def __init__(self, in_channels: int, num_classes: int, config: DETRHeadConfig) -> None:
        super().__init__(num_classes, config.postprocess)
        self.config = config
        channels = config.channels
        sizes = LayerSizes(channels, config.attention_heads, config.hidden, config.dropout)
        self.projection = nn.Conv2d(in_channels, channels, 1)
        self.encoder = Encoder(config.encoder_layers, sizes)
        self.decoder = Decoder(config.decoder_layers, sizes)
        self.queries = nn.Embedding(config.num_queries, channels)
        self.logits = Float32Linear(channels, num_classes + 1)
        self.box_layers = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels), nn.ReLU(), Float32Linear(channels, 4)
        )

    def forward(self, maps: Sequence[Tensor], batch: Batch) -> Outputs:
        """Return the predictions of all L decoder layers, last layer last, or of the last one only without auxiliary losses.

        Args:
            maps: One map ``(B, C, h, w)``.
            batch: Gives the size of each image without padding.

        Returns:
            ``(B, N, L, K + 1)`` logits, "no object" last, and ``(B, N, L, 4)`` boxes as center and size in pixels.
        """
        (map_,) = maps
        grid = (map_.shape[-2], map_.shape[-1])
        valid = valid_cells(batch, grid)
        padded = None if set(batch.sizes) == {batch.padded_size} else ~valid.flatten(1)
        positions = sine_positions(valid, self.config.channels)
        # In float32 from here on, also under autocast: sums over many layers lose too much in half precision.
        cells = self.encoder(self.projection(map_).float().flatten(2).transpose(1, 2), positions, padded)
        decoded = self.decoder(self.queries.weight, cells, positions, padded)
        decoded = decoded if self.config.auxiliary_losses else decoded[:, :, -1:]
        boxes = self.box_layers(decoded).sigmoid()
        return self.logits(decoded), boxes * _extents(batch)[:, None, None]

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """Return one level of shape ``(N, 0)``: queries have no coordinates."""
        return [batch.images.new_zeros((self.config.num_queries, 0))]

    def assignment(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """Return the matching of the last decoder layer; see :meth:`OneStageHead.assignment`."""
        return [rows[:, -1] for rows in self._match(_last_layer(outputs), batch, targets)]

    def scores(self, outputs: Outputs) -> Tensor:
        """Return ``(B, N, K)`` scores: for each query the probability of its best class, and 0 for all others.

        "No object" is excluded: a query whose best class it is counts with the second best (section 4 of the paper).
        """
        probabilities = self.raw_scores(outputs)
        best = probabilities.argmax(-1, keepdim=True)
        return torch.zeros_like(probabilities).scatter(-1, best, probabilities.gather(-1, best))

    def raw_scores(self, outputs: Outputs) -> Tensor:
        """Return the class probabilities of each query; see :meth:`OneStageHead.raw_scores`."""
        return outputs[0][:, :, -1].softmax(-1)[..., :-1]

    def boxes(self, outputs: Outputs, locations: Tensor, image: int, selection: Selection) -> Tensor:
        """See :meth:`OneStageHead.boxes`."""
        return cxcywh_to_xyxy(outputs[1][image, selection.rows, -1])

    def loss(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Return the losses of the last decoder layer and the summed auxiliary losses of the others.

        Each layer is matched by itself. The cross entropy is divided by the weights of its queries, the two box losses by the number of
        objects, both over all images (section 3.1 of the paper and the released ``SetCriterion``).

        Returns:
            ``class``, ``box`` and ``giou``; with auxiliary losses also the same with the prefix ``auxiliary_``.
        """
        logits, boxes = outputs
        assigned = self._match(outputs, batch, targets)
        by_layer = (
            self.config.class_weight * self._class_loss(logits, assigned, targets),
            *self._box_losses(boxes, assigned, batch, targets),
        )
        named = dict(zip(("class", "box", "giou"), by_layer, strict=True))
        losses = {name: values[-1] for name, values in named.items()}
        if self.config.auxiliary_losses:
            losses |= {f"auxiliary_{name}": values[:-1].sum() for name, values in named.items()}
        return losses

    def class_layout(self) -> Mapping[str, ClassLayout]:
        """See :meth:`OneStageHead.class_layout`."""
        return {f"logits.{part}": ClassLayout(after=1) for part in ("weight", "bias")}

    @torch.no_grad()
    def _match(self, outputs: Outputs, batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """Return for each image ``(N, L)``: the matching of each decoder layer."""
        logits, boxes = outputs
        extents = _extents(batch)
        assignment = []
        for image, target in enumerate(targets):
            costs = self._costs(logits[image].softmax(-1), boxes[image], target, extents[image]).cpu()
            rows = [match_hungarian(costs[:, layer], target.to("cpu"), self.config.target_copies) for layer in range(costs.shape[1])]
            corners = cxcywh_to_xyxy(boxes[image])
            rows = [ignore_crowds(row.to(boxes.device), corners[:, layer], target) for layer, row in enumerate(rows)]
            assignment.append(torch.stack(rows, 1))
        return assignment

    def _costs(self, probabilities: Tensor, boxes: Tensor, target: Targets, extent: Tensor) -> Tensor:
        """Return ``(N, L, M)``: the cost of matching each query of each layer to each target."""
        config, boxes = self.config, boxes[:, :, None]
        distance = (boxes / extent - xyxy_to_cxcywh(target.boxes) / extent).abs().sum(-1)
        giou = giou_loss(cxcywh_to_xyxy(boxes), target.boxes)
        return config.box_cost * distance + config.giou_cost * giou - config.class_cost * probabilities[..., target.labels]

    def _class_loss(self, logits: Tensor, assigned: list[Tensor], targets: Sequence[Targets]) -> Tensor:
        """Return ``(L,)`` cross entropies; ignored queries have the weight 0."""
        labels, weights = [], []
        for rows, target in zip(assigned, targets, strict=True):
            padded = functional.pad(target.labels, (0, 1), value=self.num_classes)
            labels.append(padded[rows.clamp(min=-1)])
            weights.append((rows >= 0).float() + self.config.no_object_weight * (rows == BACKGROUND).float())
        entropy = functional.cross_entropy(logits.flatten(0, 2).float(), torch.stack(labels).flatten(), reduction="none")
        weight = torch.stack(weights)
        total = loss_normalizer(weight.sum((0, 1)), self.config.no_object_weight)
        return (entropy.view_as(weight) * weight).sum((0, 1)) / total

    def _box_losses(self, boxes: Tensor, assigned: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> tuple[Tensor, Tensor]:
        """Return the weighted L1 distances and generalized IoU losses, ``(L,)`` each."""
        distances, giou_losses = [], []
        objects = 0
        for image, (rows, target, extent) in enumerate(zip(assigned, targets, _extents(batch), strict=True)):
            matched = rows >= 0
            # Every layer has the same number of matches, so that they form a table. An object counts once for each query matched to it,
            # and once if there is none.
            objects += max(int(matched[:, 0].sum()), int((~target.is_crowd).sum()))
            predicted = boxes[image].transpose(0, 1)[matched.T].view(rows.shape[1], -1, 4)
            target_boxes = target.boxes[rows.T[matched.T]].view_as(predicted)
            distances.append((predicted / extent - xyxy_to_cxcywh(target_boxes) / extent).abs().sum((1, 2)))
            giou_losses.append(giou_loss(cxcywh_to_xyxy(predicted), target_boxes).sum(1))
        total = loss_normalizer(boxes.new_tensor(float(objects)))
        box, giou = (torch.stack(sums).sum(0) / total for sums in (distances, giou_losses))
        return self.config.box_weight * box, self.config.giou_weight * giou


def valid_cells(batch: Batch, grid: Size) -> Tensor:
    """Return ``(B, h, w)`` bool: True for cells of the map whose nearest pixel is in the image, False in the padding."""
    pixels = batch.images.new_zeros((len(batch), 1, *batch.padded_size))
    for image, (height, width) in enumerate(batch.sizes):
        pixels[image, :, :height, :width] = 1
    return functional.interpolate(pixels, size=grid, mode="nearest")[:, 0].bool()


def _extents(batch: Batch) -> Tensor:
    """Return ``(B, 4)``: width, height, width and height of each image without padding."""
    sides = [torch.as_tensor(side) for height, width in batch.sizes for side in (width, height, width, height)]
    return torch.stack(sides).to(batch.images.device, torch.float32).reshape(-1, 4)


def _last_layer(outputs: Outputs) -> Outputs:
    return tuple(output[:, :, -1:] for output in outputs)
