"""DETR's head (arXiv:2005.12872): a transformer in which a fixed set of queries attends to a feature map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from detkit.heads.class_layout import ClassLayout
from detkit.heads.float32 import Float32Linear
from detkit.heads.one_stage import OneStageHeadConfig, Outputs
from detkit.heads.postprocess import PostprocessConfig
from detkit.heads.queries.denoising import DenoisingConfig, DenoisingQueries, denoising_queries, draw_noise
from detkit.heads.queries.layers import Perceptron
from detkit.heads.queries.losses import pair_losses
from detkit.heads.queries.matching import CostWeights, MatchedPairs, image_extents, match_queries, num_groups, num_objects
from detkit.heads.queries.query_head import QueryHead
from detkit.layers import loss_normalizer
from detkit.layers.cells import map_to_cells
from detkit.layers.positions import sine_positions
from detkit.layers.transformer import Decoder, Encoder, LayerSizes
from detkit.ops.match import BACKGROUND
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
    denoising: DenoisingConfig = DenoisingConfig(queries=0)
    """Noised copies of the objects in training (DN-DETR, arXiv:2203.01305), which help on small data sets; the released code has none."""
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


class DETRHead(QueryHead):
    """Queries that attend to the whole map, each predicting one object or none; the stages are the decoder layers.

    Args:
        in_channels: Channels of the map.
        num_classes: K; the softmax has "no object" as class K.
        config: Transformer, matching, losses and postprocessing.
    """

    def __init__(self, in_channels: int, num_classes: int, config: DETRHeadConfig) -> None:
        super().__init__(num_classes, config.num_queries, config.postprocess)
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
        if config.denoising.queries:
            self.copied_classes = nn.Embedding(num_classes + 1, channels)
            self.copied_boxes = Perceptron((4, channels, channels))

    def forward(self, maps: Sequence[Tensor], batch: Batch) -> Outputs:
        """Return the predictions of all L decoder layers, last layer last, or of the last one only without auxiliary losses.

        Args:
            maps: One map ``(B, C, h, w)``.
            batch: Gives the size of each image without padding.

        Returns:
            ``(B, N, L, K + 1)`` logits, "no object" last, and ``(B, N, L, 4)`` boxes as center and size in pixels.
        """
        return self._predict(self.decoder(self.queries.weight, *self._encode(maps, batch)), batch)

    def forward_with_targets(self, maps: Sequence[Tensor], batch: Batch, targets: Sequence[Targets]) -> Outputs:
        """Return the outputs of :meth:`forward`, and with denoising also those for D noised copies of the objects.

        Returns:
            The two outputs; then the same for the copies, ``(B, D, L, ...)``, and ``(B, D)`` the rows of the targets that they restore.
        """
        if not self.config.denoising.queries:
            return super().forward_with_targets(maps, batch, targets)
        copies = self._copies(batch, targets)
        count = copies.labels.shape[1]
        labels, boxes = self.copied_classes(copies.labels), self.copied_boxes(copies.boxes)
        learned = self.queries.weight.expand(len(batch), -1, -1)
        # Without copies the layers still take part, with an empty input, so that every parameter has a gradient.
        start, queries = torch.cat((labels, torch.zeros_like(learned)), 1), torch.cat((boxes, learned), 1)
        decoded = self.decoder(queries, *self._encode(maps, batch), start=start, mask=copies.mask(len(self.queries.weight)))
        logits, predicted = self._predict(decoded, batch)
        return logits[:, count:], predicted[:, count:], logits[:, :count], predicted[:, :count], copies.assignment

    def assignment(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """Return the matching of the last decoder layer; see :meth:`OneStageHead.assignment`."""
        return list(self._match(outputs[0][:, :, -1:], outputs[1][:, :, -1:], batch, targets)[:, :, -1])

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

    def loss(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Return the losses of the last decoder layer and the summed auxiliary losses of the others.

        Each layer is matched by itself. The cross entropy is divided by the weights of its queries, the two box losses by the number of
        objects, both over all images (section 3.1 of the paper and the released ``SetCriterion``).

        Returns:
            ``class``, ``box`` and ``giou``; with auxiliary losses also the same with the prefix ``auxiliary_``, and with denoising those of
            all layers for the noised copies, with the prefix ``denoising_``.
        """
        logits, boxes = outputs[0], outputs[1]
        assignment = self._match(logits, boxes, batch, targets)
        by_layer = self._losses_by_layer(logits, boxes, assignment, batch, targets, loss_normalizer(_num_matched(assignment, targets)))
        losses = {name: values[-1] for name, values in by_layer.items()}
        if self.config.auxiliary_losses:
            losses |= {f"auxiliary_{name}": values[:-1].sum() for name, values in by_layer.items()}
        if len(outputs) > 2:
            logits, boxes, copied = outputs[2:]
            rows = copied[:, :, None].expand(logits.shape[:3])
            total = num_objects(targets, logits.device) * num_groups(copied, targets)
            by_layer = self._losses_by_layer(logits, boxes, rows, batch, targets, total)
            losses |= {f"denoising_{name}": values.sum() for name, values in by_layer.items()}
        return losses

    def class_layout(self) -> Mapping[str, ClassLayout]:
        """See :meth:`OneStageHead.class_layout`."""
        layout = {f"logits.{part}": ClassLayout(after=1) for part in ("weight", "bias")}
        if self.config.denoising.queries:
            layout["copied_classes.weight"] = ClassLayout(after=1)
        return layout

    def _encode(self, maps: Sequence[Tensor], batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the cells after the encoder, their position encodings, and which are in the padding."""
        (map_,) = maps
        valid = valid_cells(batch, (map_.shape[-2], map_.shape[-1]))
        padded = ~valid.flatten(1) if batch.is_padded else None
        positions = sine_positions(valid, self.config.channels)
        # In float32 from here on, also under autocast: sums over many layers lose too much in half precision.
        return self.encoder(map_to_cells(self.projection(map_)).float(), positions, padded), positions, padded

    def _predict(self, decoded: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return logits and boxes for the states ``(B, Q, L, channels)`` of queries after each layer."""
        decoded = decoded if self.config.auxiliary_losses else decoded[:, :, -1:]
        return self.logits(decoded), self.box_layers(decoded).sigmoid() * image_extents(batch)[:, None, None]

    def _copies(self, batch: Batch, targets: Sequence[Targets]) -> DenoisingQueries:
        config = self.config.denoising
        noise = draw_noise(targets, batch, self.num_classes, config)
        return denoising_queries(targets, image_extents(batch), self.num_classes, config, noise)

    def _match(self, logits: Tensor, boxes: Tensor, batch: Batch, targets: Sequence[Targets]) -> Tensor:
        """Return ``(B, N, L)``: the matching of each decoder layer."""
        config = self.config
        weights = CostWeights(config.class_cost, config.box_cost, config.giou_cost, config.target_copies)
        probabilities, boxes = logits.detach().softmax(-1), boxes.detach()
        extents, assignment = image_extents(batch), []
        for image, target in enumerate(targets):
            costs = -probabilities[image][..., target.labels]
            assignment.append(match_queries(costs, boxes[image], target, extents[image], weights))
        return torch.stack(assignment)

    def _losses_by_layer(
        self, logits: Tensor, boxes: Tensor, assignment: Tensor, batch: Batch, targets: Sequence[Targets], total: Tensor
    ) -> dict[str, Tensor]:
        """Return the weighted losses ``(L,)`` of each kind; the box losses are divided by ``total``."""
        config = self.config
        distance, giou = pair_losses(boxes, MatchedPairs.of(assignment, targets), image_extents(batch))
        return {
            "class": config.class_weight * self._class_losses(logits, assignment, targets),
            "box": config.box_weight * distance / total,
            "giou": config.giou_weight * giou / total,
        }

    def _class_losses(self, logits: Tensor, assignment: Tensor, targets: Sequence[Targets]) -> Tensor:
        """Return ``(L,)`` cross entropies; ignored queries have the weight 0."""
        pairs = MatchedPairs.of(assignment, targets)
        labels = torch.full_like(assignment, self.num_classes)
        labels[pairs.image, pairs.query, pairs.stage] = pairs.labels
        weight = (assignment >= 0).float() + self.config.no_object_weight * (assignment == BACKGROUND).float()
        entropy = functional.cross_entropy(logits.flatten(0, 2).float(), labels.flatten(), reduction="none")
        total = loss_normalizer(weight.sum((0, 1)), self.config.no_object_weight)
        return (entropy.view_as(weight) * weight).sum((0, 1)) / total


def valid_cells(batch: Batch, grid: Size) -> Tensor:
    """Return ``(B, h, w)`` bool: True for cells of the map whose nearest pixel is in the image, False in the padding."""
    if not batch.is_padded:
        return batch.images.new_ones((batch.images.shape[0], *grid), dtype=torch.bool)
    pixels = batch.images.new_zeros((len(batch), 1, *batch.padded_size))
    for image, (height, width) in enumerate(batch.sizes):
        pixels[image, :, :height, :width] = 1
    return functional.interpolate(pixels, size=grid, mode="nearest")[:, 0].bool()


def _num_matched(assignment: Tensor, targets: Sequence[Targets]) -> Tensor:
    """Return the number of objects: one counts once for each query matched to it, and once if there is none."""
    counts = [max(int((rows[:, 0] >= 0).sum()), int((~t.is_crowd).sum())) for rows, t in zip(assignment, targets, strict=True)]
    return torch.tensor(float(sum(counts)), device=assignment.device)
