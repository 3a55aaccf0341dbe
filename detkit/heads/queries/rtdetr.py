"""RT-DETR's head (arXiv:2304.08069, RT-DETRv2: arXiv:2407.17140): selected cells become queries whose boxes each decoder layer refines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from detkit.heads.class_layout import ClassLayout
from detkit.heads.float32 import Float32Linear
from detkit.heads.one_stage import OneStageHeadConfig, Outputs
from detkit.heads.postprocess import PostprocessConfig
from detkit.heads.queries.denoising import DenoisingConfig, DenoisingQueries, denoising_queries, draw_noise
from detkit.heads.queries.layers import (
    Decoded,
    FeedForwardName,
    Grids,
    Perceptron,
    QueryDecoderLayer,
    QueryLayerSizes,
    QueryNormName,
    inverse_sigmoid,
    projection,
)
from detkit.heads.queries.losses import QueryLossConfig, QueryMatchingConfig
from detkit.heads.queries.matching import MatchedPairs, num_groups, num_objects, padded_extents
from detkit.heads.queries.query_head import QueryHead
from detkit.heads.queries.selection import QuerySelection, prior_bias
from detkit.layers import ACTIVATIONS, ActivationName
from detkit.layers.cells import map_to_cells
from detkit.layers.transformer import LayerSizes
from detkit.structures import Batch, Size, Targets


class RTDETRHeadConfig(OneStageHeadConfig):
    """Parameters of RT-DETR's decoder, matching and losses; the defaults are those of RT-DETR-R50 and of RT-DETRv2."""

    num_queries: int = Field(300, ge=1)
    """Number of queries, the maximum number of objects per image; further objects are not learned."""
    channels: int = Field(256, ge=4)
    """Channels of every cell and query; divisible by ``attention_heads``."""
    attention_heads: int = Field(8, ge=1)
    """Heads of each attention layer."""
    layers: int = Field(6, ge=1)
    """Decoder layers."""
    inference_layers: int | None = Field(None, ge=1)
    """Decoder layers used for detection; none: all. Fewer are faster and cost little AP, as every layer is trained to detect."""
    hidden: int = Field(1024, ge=1)
    """Hidden width of the feed-forward network in each layer."""
    activation: ActivationName = "relu"
    """Activation of the decoder."""
    norm: QueryNormName = "layer"
    """Norms of the decoder: ``layer``, or ``rms`` (DEIMv2)."""
    feed_forward: FeedForwardName = "mlp"
    """Feed-forward network of each layer: ``mlp``, two linear layers, or ``swiglu`` with half the hidden width (DEIMv2)."""
    positions: Literal["every_layer", "once"] = "every_layer"
    """When the boxes of queries are embedded as their positions: in ``every_layer``, or ``once`` after the selection, by one more and
    narrower linear layer (DEIMv2)."""
    project_cells: bool = True
    """Whether a linear layer and a norm precede the query selection; DEIMv2 has neither."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout probability in the decoder."""
    points: tuple[int, ...] = Field((4, 4, 4), min_length=1)
    """Cells that each attention head reads on each level, finest first."""
    matching: QueryMatchingConfig = QueryMatchingConfig()
    """Matching of queries and objects."""
    losses: QueryLossConfig = QueryLossConfig()
    """Losses of matched queries."""
    denoising: DenoisingConfig = DenoisingConfig()
    """Noised copies of the objects in training."""
    postprocess: PostprocessConfig = PostprocessConfig(min_score=0.0, pre_nms_top_k=300, nms_iou=None, max_detections=300)
    """How queries become detections: the highest scores of any query and class, without NMS."""

    @model_validator(mode="after")
    def _check_layers(self) -> Self:
        if self.channels % self.attention_heads:
            raise ValueError(f"channels: expected a multiple of attention_heads={self.attention_heads}, got {self.channels}")
        if self.inference_layers is not None and self.inference_layers > self.layers:
            raise ValueError(f"inference_layers: expected at most layers={self.layers}, got {self.inference_layers}")
        return self

    @property
    def depth(self) -> int:
        """The number of decoder layers used for detection."""
        return self.inference_layers or self.layers

    def build(self, channels: Sequence[int], strides: Sequence[int], num_classes: int, input_size: Size | None = None) -> RTDETRHead:
        """Build the head for the maps of a neck; see :meth:`OneStageHeadConfig.build`.

        Raises:
            ValueError: If ``points`` does not have a number for each level.
        """
        self.check_levels(strides)
        return RTDETRHead(channels, num_classes, self)

    def check_levels(self, strides: Sequence[int]) -> None:
        """Raise a ValueError unless ``points`` has a number for each level."""
        if len(self.points) != len(strides):
            listed = ", ".join(map(str, strides))
            raise ValueError(
                f"model.head.points: expected {len(strides)} numbers, one for each level (strides {listed}), got {self.points}"
            )


class RTDETRHead(QueryHead):
    """Query selection, and a decoder whose layers refine the boxes one after the other.

    Its first stage is the selection, followed by the decoder layers. The parts have the names of the released code.

    Args:
        in_channels: Channels of each map.
        num_classes: K, one sigmoid each.
        config: Decoder, matching, losses and postprocessing.
    """

    first_stages: ClassVar[tuple[str, ...]] = ("selection",)

    def __init__(self, in_channels: Sequence[int], num_classes: int, config: RTDETRHeadConfig) -> None:
        super().__init__(num_classes, config.num_queries, config.postprocess)
        self.config = config
        channels = config.channels
        self.input_proj = nn.ModuleList(self._projection(width) for width in in_channels)
        selection = (channels, num_classes, config.num_queries, config.activation)
        self.selection = QuerySelection(*selection, projected=config.project_cells)
        self.query_pos_head = self._perceptron((4, *((channels,) * 2 if config.positions == "once" else (2 * channels,)), channels))
        for layer in self.query_pos_head.layers:
            nn.init.xavier_uniform_(layer.weight)  # type: ignore[arg-type]
        sizes = LayerSizes(channels, config.attention_heads, config.hidden, config.dropout)
        self.layers = nn.ModuleList(QueryDecoderLayer(self._layer_sizes(sizes)) for _ in range(config.layers))
        self.dec_score_head = nn.ModuleList(Float32Linear(channels, num_classes) for _ in range(config.layers))
        for scores in self.dec_score_head:
            nn.init.constant_(scores.bias, prior_bias())  # type: ignore[arg-type]
        self.dec_bbox_head = self._box_heads()
        if config.denoising.queries:
            self.denoising_class_embed = nn.Embedding(num_classes + 1, channels, padding_idx=num_classes)

    def forward(self, maps: Sequence[Tensor], batch: Batch) -> Outputs:
        """Return the predictions for detection.

        Args:
            maps: One map ``(B, C, h, w)`` per level, finest first.
            batch: Gives the size of the padded images, of which boxes are fractions inside the network.

        Returns:
            ``(B, N, 1, K)`` logits of the last layer used for detection, and ``(B, N, S, 4)`` boxes of all stages up to it, as center and
            size in pixels.
        """
        cells, grids = self._cells(maps)
        selected = self.selection(cells, grids)
        decoded = self._decode(selected.content.detach(), selected.boxes.detach(), (cells, grids), every_layer=False)
        boxes = torch.cat((selected.boxes[:, :, None], decoded.boxes), 2)
        return decoded.logits[:, :, -1:], boxes * padded_extents(batch)[:, None, None]

    def forward_with_targets(self, maps: Sequence[Tensor], batch: Batch, targets: Sequence[Targets]) -> Outputs:
        """Return the predictions of all stages, and those for noised copies of the objects.

        Returns:
            ``(B, N, S, K)`` logits and ``(B, N, S, 4)`` boxes as in :meth:`forward`; then the same of D copies without the selection,
            ``(B, D, S - 1, ...)``; ``(B, D)`` the rows of the targets that they restore; and any others that the decoder adds.
        """
        cells, grids = self._cells(maps)
        selected, extents = self.selection(cells, grids), padded_extents(batch)
        content, boxes = selected.content.detach(), selected.boxes.detach()
        copies = self._copies(batch, targets, extents)
        count = copies.labels.shape[1]
        mask = None
        if self.config.denoising.queries and not count:
            content = content + 0 * self.denoising_class_embed.weight.sum()  # every parameter stays in the graph
        if count:
            content = torch.cat((self.denoising_class_embed(copies.labels).to(content.dtype), content), 1)
            boxes = torch.cat((inverse_sigmoid(copies.boxes).sigmoid(), boxes), 1)
            mask = copies.mask(selected.content.shape[1])
        decoded = self._decode(content, boxes, (cells, grids), mask, every_layer=True)
        logits = torch.cat((selected.logits[:, :, None], decoded.logits[:, count:]), 2)
        all_boxes = torch.cat((selected.boxes[:, :, None], decoded.boxes[:, count:]), 2)
        scale = extents[:, None, None]
        extra = tuple(part for values in decoded.extra for part in (values[:, count:], values[:, :count]))
        return (logits, all_boxes * scale, decoded.logits[:, :count], decoded.boxes[:, :count] * scale, copies.assignment, *extra)

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """Return one level of shape ``(N, 0)``; small maps have fewer cells than there are queries."""
        cells = sum(height * width for height, width in grids)
        return [batch.images.new_zeros((min(self.num_queries, cells), 0))]

    def assignment(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """Return the matching of the last stage; see :meth:`OneStageHead.assignment`."""
        matched = self.config.matching.match(outputs[0][:, :, -1:], outputs[1][:, :, -1:], targets, padded_extents(batch))
        return list(matched[:, :, -1])

    def scores(self, outputs: Outputs) -> Tensor:
        """See :meth:`OneStageHead.scores`."""
        return outputs[0][:, :, -1].sigmoid()

    def loss(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Return the losses of the last decoder layer, and those of the other stages and of the noised copies, summed.

        Each stage is matched by itself. All losses are divided by the number of objects, and those of the copies also by the number of
        groups (the released ``RTDETRCriterionv2``).

        Returns:
            ``class``, ``box`` and ``giou``, and the same with the prefixes ``auxiliary_`` (other decoder layers), ``encoder_`` (the query
            selection) and ``denoising_``; D-FINE adds ``fine_grained`` and ``distillation``, of all decoder layers.
        """
        losses: dict[str, Tensor] = {}
        for name, values in self.loss_terms(outputs, batch, targets).items():
            if name in ("class", "box", "giou"):
                losses |= {name: values[-1], f"auxiliary_{name}": values[1:-1].sum(), f"encoder_{name}": values[0]}
            else:
                losses[name] = values.sum()
        return losses

    def loss_terms(self, outputs: Outputs, batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Return each weighted loss by stage, ``(S,)``, or ``(S - 1,)`` for noised copies.

        Args:
            outputs: As returned by :meth:`forward_with_targets`.
            batch: The images.
            targets: Targets of each image.
        """
        logits, boxes, copied_logits, copied_boxes, copied = outputs[:5]
        config, extents = self.config, padded_extents(batch)
        assignment = config.matching.match(logits, boxes, targets, extents)
        total = num_objects(targets, logits.device)
        parts = {"class": config.losses.class_losses(logits, boxes, assignment, targets) / total}
        parts["box"], parts["giou"] = (
            value / total for value in config.losses.box_losses(boxes, MatchedPairs.of(assignment, targets), extents)
        )
        if self.config.denoising.queries:
            rows = copied[:, :, None].expand(copied_logits.shape[:3])
            total = total * num_groups(copied, targets)
            parts["denoising_class"] = config.losses.class_losses(copied_logits, copied_boxes, rows, targets) / total
            parts["denoising_box"], parts["denoising_giou"] = (
                value / total for value in config.losses.box_losses(copied_boxes, MatchedPairs.of(rows, targets), extents)
            )
        return parts

    def class_layout(self) -> Mapping[str, ClassLayout]:
        """See :meth:`OneStageHead.class_layout`."""
        heads = ["selection.enc_score_head", *(f"dec_score_head.{index}" for index in range(self.config.layers))]
        layout = {f"{head}.{part}": ClassLayout() for head in heads for part in ("weight", "bias")}
        if self.config.denoising.queries:
            layout["denoising_class_embed.weight"] = ClassLayout(after=1)
        return layout

    def _perceptron(self, widths: Sequence[int], **options: bool) -> Perceptron:
        return Perceptron(widths, ACTIVATIONS[self.config.activation], **options)

    def _layer_sizes(self, sizes: LayerSizes) -> QueryLayerSizes:
        config = self.config
        return QueryLayerSizes(sizes, config.points, config.activation, norm=config.norm, feed_forward=config.feed_forward)

    def _box_heads(self) -> nn.ModuleList:
        width = self.config.channels
        return nn.ModuleList(self._perceptron((width, width, width, 4), float32=True, zero=True) for _ in range(self.config.layers))

    def _projection(self, width: int) -> nn.Module:
        """Return the layers between a map of the neck and the cells."""
        return projection(width, self.config.channels)

    def _positions(self, references: Tensor, before: Tensor | None) -> Tensor:
        """Return the position embeddings of boxes, or those of the layer before if positions are embedded once."""
        if before is not None and self.config.positions == "once":
            return before
        embedded: Tensor = self.query_pos_head(references)
        return embedded

    def _cells(self, maps: Sequence[Tensor]) -> tuple[Tensor, Grids]:
        """Return ``(B, S, channels)`` cells of all levels, and the sizes of the levels."""
        projected = [layer(map_) for layer, map_ in zip(self.input_proj, maps, strict=True)]
        grids = [(map_.shape[-2], map_.shape[-1]) for map_ in projected]
        return torch.cat([map_to_cells(map_) for map_ in projected], 1), grids

    def _copies(self, batch: Batch, targets: Sequence[Targets], extents: Tensor) -> DenoisingQueries:
        config = self.config.denoising
        noise = draw_noise(targets, batch, self.num_classes, config)
        return denoising_queries(targets, extents, self.num_classes, config, noise)

    def _decode(
        self, x: Tensor, references: Tensor, maps: tuple[Tensor, Grids], mask: Tensor | None = None, *, every_layer: bool
    ) -> Decoded:
        """Run the decoder, all of it with the logits of every layer, or as far as it is used for detection.

        The loss of a box also reaches the layer before ("look forward twice", arXiv:2203.03605, section 3.5).
        """
        depth = self.config.layers if every_layer else self.config.depth
        logits, boxes, previous = [], [], references
        positions = None
        for index in range(depth):
            positions = self._positions(references, positions)
            x = self.layers[index](x, positions, references, maps, mask)
            delta = self.dec_bbox_head[index](x)
            boxes.append((delta + inverse_sigmoid(previous)).sigmoid())
            if every_layer or index == depth - 1:
                logits.append(self.dec_score_head[index](x))
            previous = (delta + inverse_sigmoid(references)).sigmoid()
            references = previous.detach()
        return Decoded(torch.stack(logits, 2), torch.stack(boxes, 2))
