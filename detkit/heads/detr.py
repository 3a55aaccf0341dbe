"""The head of DETR (arXiv:2005.12872): a transformer in which a fixed set of queries asks a map for objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from detkit.config import Config
from detkit.heads.float32 import Float32Linear
from detkit.heads.one_stage import OneStageHead, Outputs
from detkit.heads.postprocess import PostprocessConfig
from detkit.layers import loss_normalizer
from detkit.layers.positions import sine_positions
from detkit.layers.transformer import Decoder, Encoder
from detkit.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from detkit.ops.losses import giou_loss
from detkit.ops.match import BACKGROUND, ignore_crowds
from detkit.ops.match_hungarian import match_hungarian
from detkit.ops.select import Selection
from detkit.structures import Batch, Size, Targets


class DETRHeadConfig(Config):
    """The numbers of DETR's transformer, its matching and its losses; the defaults are the released code's, which are the paper's."""

    num_queries: int = Field(100, ge=1)
    """The most objects of an image; objects beyond them are never learned."""
    channels: int = Field(256, ge=4)
    """Of every cell and query; divisible by 4 and by ``attention_heads``."""
    attention_heads: int = Field(8, ge=1)
    """Heads of each attention."""
    encoder_layers: int = Field(6, ge=0)
    """Layers in which the map's cells see each other."""
    decoder_layers: int = Field(6, ge=1)
    """Layers in which the queries see each other and the map."""
    hidden: int = Field(2048, ge=1)
    """Width of the two-layer network in each layer."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of numbers dropped in the transformer while training."""
    auxiliary_losses: bool = True
    """Whether what leaves each decoder layer is matched and learns too, as section 3.2 of the paper has it."""
    target_copies: int = Field(1, ge=1)
    """Queries that each object is matched to; with more than one, ``postprocess.nms_iou`` has to suppress what is found twice. Two let a
    small data set teach more (label augmentation of arXiv:2203.09507)."""
    class_cost: float = Field(1.0, ge=0)
    """In the matching: times the probability of the wanted class, which makes a pair cheaper."""
    box_cost: float = Field(5.0, ge=0)
    """In the matching: times the L1 distance of the boxes, as shares of the image."""
    giou_cost: float = Field(2.0, ge=0)
    """In the matching: times what the boxes lack of a generalized IoU of 1."""
    class_weight: float = Field(1.0, ge=0)
    """Of the cross entropy."""
    box_weight: float = Field(5.0, ge=0)
    """Of the L1 distance of matched boxes, as shares of the image."""
    giou_weight: float = Field(2.0, ge=0)
    """Of one minus the generalized IoU of matched boxes."""
    no_object_weight: float = Field(0.1, gt=0)
    """Of the cross entropy of queries without an object, beside 1 for the others."""
    postprocess: PostprocessConfig = PostprocessConfig(min_score=0.0, pre_nms_top_k=None, nms_iou=None, max_detections=100)
    """What is reported: each query once, with its best class; nothing is suppressed."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.channels % 4 or self.channels % self.attention_heads:
            wanted = f"divisible by 4 and by attention_heads={self.attention_heads}"
            raise ValueError(f"expected channels {wanted}, got {self.channels}")
        return self


class DETRHead(OneStageHead):
    """Queries, each of which answers for one object or for none, after the whole map was seen.

    Its places are the queries, which lie nowhere in the image: :meth:`locations` has a row without numbers for each.

    Args:
        in_channels: Of the map.
        num_classes: K; the softmax has "no object" as its class K.
        config: The numbers.
    """

    outputs: ClassVar[int] = 2

    def __init__(self, in_channels: int, num_classes: int, config: DETRHeadConfig) -> None:
        super().__init__(num_classes, config.postprocess)
        self.config = config
        channels, numbers = config.channels, (config.channels, config.attention_heads, config.hidden, config.dropout)
        self.projection = nn.Conv2d(in_channels, channels, 1)
        self.encoder = Encoder(config.encoder_layers, *numbers)
        self.decoder = Decoder(config.decoder_layers, *numbers)
        self.num_queries = nn.Embedding(config.num_queries, channels)
        self.logits = Float32Linear(channels, num_classes + 1)
        self.box_layers = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels), nn.ReLU(), Float32Linear(channels, 4)
        )

    def forward(self, maps: Sequence[Tensor], batch: Batch | None = None) -> Outputs:
        """What every decoder layer says about every query, or the last one alone without auxiliary losses; layers L, last one last.

        Args:
            maps: One map ``(B, C, h, w)``.
            batch: Tells where each image ends; None: nothing is padded, and images are one unit high and wide.

        Returns:
            ``(B, N, L, K + 1)`` logits, "no object" last, and ``(B, N, L, 4)`` boxes as center and size in pixels.
        """
        (map_,) = maps
        grid = (map_.shape[-2], map_.shape[-1])
        valid = map_.new_ones((len(map_), *grid), dtype=torch.bool) if batch is None else valid_cells(batch, grid)
        padded = None if batch is None or set(batch.sizes) == {batch.padded_size} else ~valid.flatten(1)
        positions = sine_positions(valid, self.config.channels)
        # In float32 from here on, whatever the layers compute in: sums over many layers lose much in half precision.
        cells = self.encoder(self.projection(map_).float().flatten(2).transpose(1, 2), positions, padded)
        held = self.decoder(self.num_queries.weight, cells, positions, padded)
        held = held if self.config.auxiliary_losses else held[:, :, -1:]
        shares = self.box_layers(held).sigmoid()
        return self.logits(held), shares if batch is None else shares * _extents(batch)[:, None, None]

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """One level of ``(N, 0)``: queries lie nowhere in the image."""
        return [batch.images.new_zeros((self.config.num_queries, 0))]

    def assignment(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """See :meth:`OneStageHead.matches`: the assignment behind the last decoder layer."""
        return [rows[:, -1] for rows in self._assigned(_last(outputs), batch, targets)]

    def scores(self, outputs: Outputs) -> Tensor:
        """``(B, N, K)``: of each query the probability of its best class, 0 for all others.

        "No object" is not among them: a query whose best class it is counts with the second best (section 4 of the paper).
        """
        probabilities = self.raw_scores(outputs)
        best = probabilities.argmax(-1, keepdim=True)
        return torch.zeros_like(probabilities).scatter(-1, best, probabilities.gather(-1, best))

    def raw_scores(self, outputs: Outputs) -> Tensor:
        """See :meth:`OneStageHead.raw_scores`: what a query gives to every class."""
        return outputs[0][:, :, -1].softmax(-1)[..., :-1]

    def boxes(self, outputs: Outputs, locations: Tensor, image: int, selection: Selection) -> Tensor:
        """See :meth:`OneStageHead.boxes`."""
        return cxcywh_to_xyxy(outputs[1][image, selection.rows, -1])

    def loss(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """``class``, ``box`` and ``giou`` of the last decoder layer; with ``auxiliary_`` before them the sums over the others.

        Each layer is matched by itself. The cross entropy is divided by the weights of its queries, the two of boxes by the number
        of objects, both over all images (section 3.1 of the paper and the released ``SetCriterion``).
        """
        logits, boxes = outputs
        assigned = self._assigned(outputs, batch, targets)
        by_layer = (
            self.config.class_weight * self._class_loss(logits, assigned, targets),
            *self._box_losses(boxes, assigned, batch, targets),
        )
        named = dict(zip(("class", "box", "giou"), by_layer, strict=True))
        losses = {name: values[-1] for name, values in named.items()}
        if self.config.auxiliary_losses:
            losses |= {f"auxiliary_{name}": values[:-1].sum() for name, values in named.items()}
        return losses

    def class_layout(self) -> Mapping[str, tuple[int, int, int, int]]:
        """See :meth:`OneStageHead.class_layout`."""
        return {f"logits.{part}": (1, 1, 0, 1) for part in ("weight", "bias")}

    @torch.no_grad()
    def _assigned(self, outputs: Outputs, batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """For each image ``(N, L)``: the matches behind each decoder layer."""
        logits, boxes = outputs
        extents = _extents(batch)
        found = []
        for image, target in enumerate(targets):
            costs = self._costs(logits[image].softmax(-1), boxes[image], target, extents[image]).cpu()
            rows = [match_hungarian(costs[:, layer], target.to("cpu"), self.config.target_copies) for layer in range(costs.shape[1])]
            corners = cxcywh_to_xyxy(boxes[image])
            rows = [ignore_crowds(row.to(boxes.device), corners[:, layer], target) for layer, row in enumerate(rows)]
            found.append(torch.stack(rows, 1))
        return found

    def _costs(self, probabilities: Tensor, boxes: Tensor, target: Targets, extent: Tensor) -> Tensor:
        """``(N, L, M)``: what it costs each query behind each layer to answer for each target."""
        config, boxes = self.config, boxes[:, :, None]
        distance = (boxes / extent - xyxy_to_cxcywh(target.boxes) / extent).abs().sum(-1)
        lacking = giou_loss(cxcywh_to_xyxy(boxes), target.boxes)
        return config.box_cost * distance + config.giou_cost * lacking - config.class_cost * probabilities[..., target.labels]

    def _class_loss(self, logits: Tensor, assigned: list[Tensor], targets: Sequence[Targets]) -> Tensor:
        """``(L,)`` cross entropies; a query left out of the loss weighs nothing."""
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
        """``(L,)`` each: weighted L1 distances, and what is lacking of the generalized IoU."""
        distances, lacking = [], []
        objects = 0
        for image, (rows, target, extent) in enumerate(zip(assigned, targets, _extents(batch), strict=True)):
            matched = rows >= 0
            # Every layer has as many matches, so that they make a table. An object counts once for each query that answers for it, and
            # once if none does.
            objects += max(int(matched[:, 0].sum()), int((~target.is_crowd).sum()))
            found = boxes[image].transpose(0, 1)[matched.T].view(rows.shape[1], -1, 4)
            wanted = target.boxes[rows.T[matched.T]].view_as(found)
            distances.append((found / extent - xyxy_to_cxcywh(wanted) / extent).abs().sum((1, 2)))
            lacking.append(giou_loss(cxcywh_to_xyxy(found), wanted).sum(1))
        total = loss_normalizer(boxes.new_tensor(float(objects)))
        box, giou = (torch.stack(sums).sum(0) / total for sums in (distances, lacking))
        return self.config.box_weight * box, self.config.giou_weight * giou


def valid_cells(batch: Batch, grid: Size) -> Tensor:
    """``(B, h, w)`` bool: which cells of a map lie in the image and not in the padding, by the pixel nearest to each."""
    pixels = batch.images.new_zeros((len(batch), 1, *batch.padded_size))
    for image, (height, width) in enumerate(batch.sizes):
        pixels[image, :, :height, :width] = 1
    return functional.interpolate(pixels, size=grid, mode="nearest")[:, 0].bool()


def _extents(batch: Batch) -> Tensor:
    """``(B, 4)`` width, height, width and height of each image before padding."""
    sides = [torch.as_tensor(side) for height, width in batch.sizes for side in (width, height, width, height)]
    return torch.stack(sides).to(batch.images.device, torch.float32).reshape(-1, 4)


def _last(outputs: Outputs) -> Outputs:
    return tuple(output[:, :, -1:] for output in outputs)
