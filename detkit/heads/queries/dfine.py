"""D-FINE's head (arXiv:2410.13842): RT-DETR's queries, whose boxes are distributions over the distances of their edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from detkit.heads.one_stage import Outputs
from detkit.heads.queries.distribution import QualityEstimator, bin_values, distances_to_cxcywh, expected_distances
from detkit.heads.queries.distribution_targets import (
    bin_targets,
    cxcywh_to_distances,
    distillation_losses,
    distillation_weights,
    fine_grained_losses,
    matched_share,
    unite_assignments,
)
from detkit.heads.queries.layers import Decoded, Grids, QueryLayerSizes, inverse_sigmoid, projection
from detkit.heads.queries.matching import MatchedPairs, num_groups, num_objects, padded_extents, predicted_corners
from detkit.heads.queries.rtdetr import RTDETRHead, RTDETRHeadConfig
from detkit.layers import ACTIVATIONS, loss_normalizer
from detkit.layers.transformer import LayerSizes
from detkit.ops.boxes import paired_iou, xyxy_to_cxcywh
from detkit.ops.match import IGNORE
from detkit.structures import Batch, Size, Targets

_POSITION_LIMIT = 10.0
"""Position embeddings are clamped to this absolute value (the constant of the released code)."""


class DFINEHeadConfig(RTDETRHeadConfig):
    """Parameters of D-FINE's decoder, matching and losses; the defaults are those of D-FINE-L."""

    points: tuple[int, ...] = Field((3, 6, 3), min_length=1)
    """Cells that each attention head reads on each level, finest first."""
    bins: int = Field(32, ge=4, multiple_of=2)
    """Steps of the distances of an edge; each distribution has one value more."""
    reg_scale: float = Field(4.0, gt=0)
    """Curvature of the steps: larger values make small distances coarser; 8 in D-FINE-X."""
    gated: bool = True
    """Whether a gate weighs what each query reads from the maps against its state, instead of a sum; not in DEIMv2-Atto to Pico."""
    shared_box_head: bool = False
    """Whether all decoder layers predict distributions by the same linear layers, as in DEIMv2-Atto to Pico."""
    united_matches: bool = True
    """Whether the boxes of all stages learn from the union of their matches; otherwise each from its own (DEIMv2-Atto to Pico)."""
    fine_grained_weight: float = Field(0.15, ge=0)
    """Weight of the fine-grained localization loss, by which distributions learn the distances of matched boxes."""
    distillation_weight: float = Field(1.5, ge=0)
    """Weight of the self-distillation, by which the distributions of each layer learn from those of the last layer."""

    def build(self, channels: Sequence[int], strides: Sequence[int], num_classes: int, input_size: Size | None = None) -> DFINEHead:
        """Build the head for the maps of a neck; see :meth:`RTDETRHeadConfig.build`."""
        self.check_levels(strides)
        return DFINEHead(channels, num_classes, self)


class DFINEHead(RTDETRHead):
    """Query selection, a first estimate of each box, and a decoder that refines the distributions of its edges.

    Its stages are the selection, the first estimate ("pre" in the released code) and the decoder layers.

    Args:
        in_channels: Channels of each map.
        num_classes: K, one sigmoid each.
        config: Decoder, matching, losses and postprocessing.
    """

    first_stages: ClassVar[tuple[str, ...]] = ("selection", "first estimate")
    config: DFINEHeadConfig

    def __init__(self, in_channels: Sequence[int], num_classes: int, config: DFINEHeadConfig) -> None:
        super().__init__(in_channels, num_classes, config)
        width = config.channels
        self.pre_bbox_head = self._perceptron((width, width, width, 4), float32=True, zero=True)
        activation = ACTIVATIONS[config.activation]
        self.lqe_layers = nn.ModuleList(QualityEstimator(activation=activation) for _ in range(config.layers))
        self.up = nn.Parameter(torch.tensor([0.5]), requires_grad=False)
        self.reg_scale = nn.Parameter(torch.tensor([config.reg_scale]), requires_grad=False)

    def loss_terms(self, outputs: Outputs, batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """See :meth:`RTDETRHead.loss_terms`.

        Boxes and distributions of all stages learn from the union of their matches, if so configured. There are also ``fine_grained`` and
        ``distillation``, by decoder layer, the last one last. Source: ``DFINECriterion`` of the released code.
        """
        logits, boxes, copied_logits, copied_boxes, copied, edges, copied_edges = outputs
        config, extents = self.config, padded_extents(batch)
        assignment = config.matching.match(logits, boxes, targets, extents)
        parts = {"class": config.losses.class_losses(logits, boxes, assignment, targets) / num_objects(targets, logits.device)}
        united = unite_assignments(assignment)
        share, rows, total = matched_share(united >= 0), assignment, num_objects(targets, logits.device)
        if config.united_matches:
            rows, total = united[..., None].expand(assignment.shape), loss_normalizer((united >= 0).sum().float())
        parts |= self._box_terms(boxes, edges, rows, targets, extents, total)
        rows = torch.where((rows < 0) & (assignment[..., -1:] == IGNORE), IGNORE, rows)
        parts["distillation"] = self._distillation(logits, boxes, edges, rows, targets, share)
        if config.denoising.queries:
            rows = copied[:, :, None].expand(copied_logits.shape[:3])
            total = num_objects(targets, logits.device) * num_groups(copied, targets)
            copies = {"class": config.losses.class_losses(copied_logits, copied_boxes, rows, targets) / total}
            copies |= self._box_terms(copied_boxes, copied_edges, rows, targets, extents, total)
            copies["distillation"] = self._distillation(copied_logits, copied_boxes, copied_edges, rows, targets, share)
            parts |= {f"denoising_{name}": value for name, value in copies.items()}
        return parts

    def _box_terms(
        self, boxes: Tensor, edges: Tensor, assignment: Tensor, targets: Sequence[Targets], extents: Tensor, total: Tensor
    ) -> dict[str, Tensor]:
        """Return the losses of matched boxes by stage, and the fine-grained ones by decoder layer."""
        config, layers = self.config, edges.shape[2]
        distance, giou = config.losses.box_losses(boxes, MatchedPairs.of(assignment, targets), extents)
        pairs = MatchedPairs.of(assignment[:, :, -layers:], targets)
        predicted, references = boxes[:, :, -layers:].detach(), boxes[:, :, -layers - 1].detach()
        ious = paired_iou(predicted_corners(pairs.of_predictions(predicted)), pairs.target_boxes)
        distances = cxcywh_to_distances(xyxy_to_cxcywh(pairs.target_boxes), references[pairs.image, pairs.query], self.reg_scale)
        goals = bin_targets(distances, bin_values(self.up, self.reg_scale, config.bins))
        fine = pairs.sum_by_stage(fine_grained_losses(pairs.of_predictions(edges), goals, ious), layers)
        return {"box": distance / total, "giou": giou / total, "fine_grained": config.fine_grained_weight * fine / total}

    def _distillation(
        self, logits: Tensor, boxes: Tensor, edges: Tensor, assignment: Tensor, targets: Sequence[Targets], share: Tensor
    ) -> Tensor:
        """Return the weighted self-distillation losses by decoder layer, that of the last layer always 0."""
        layers = edges.shape[2]
        pairs = MatchedPairs.of(assignment[:, :, -layers:], targets)
        ious = edges.new_zeros(edges.shape[:3])
        matched_boxes = pairs.of_predictions(boxes[:, :, -layers:].detach())
        ious[pairs.image, pairs.query, pairs.stage] = paired_iou(predicted_corners(matched_boxes), pairs.target_boxes)
        matched, ignored = assignment[..., -1] >= 0, assignment[..., -1] == IGNORE
        weights = distillation_weights(logits[:, :, -1].detach(), ious, matched)
        losses = distillation_losses(edges, edges[:, :, -1], weights, matched, share, ignored=ignored)
        return self.config.distillation_weight * losses

    def _layer_sizes(self, sizes: LayerSizes) -> QueryLayerSizes:
        return replace(super()._layer_sizes(sizes), gated=self.config.gated, projections=False)

    def _box_heads(self) -> nn.ModuleList:
        width, out = self.config.channels, 4 * (self.config.bins + 1)
        count = 1 if self.config.shared_box_head else self.config.layers
        return nn.ModuleList(self._perceptron((width, width, width, out), float32=True, zero=True) for _ in range(count))

    def _positions(self, references: Tensor, before: Tensor | None) -> Tensor:
        return super()._positions(references, before).clamp(-_POSITION_LIMIT, _POSITION_LIMIT)

    def _projection(self, width: int) -> nn.Module:
        """Return the layers between a map of the neck and the cells: none, if the map already has their channels."""
        return nn.Identity() if width == self.config.channels else projection(width, self.config.channels)

    def _decode(
        self, x: Tensor, references: Tensor, maps: tuple[Tensor, Grids], mask: Tensor | None = None, *, every_layer: bool
    ) -> Decoded:
        """Run the decoder as in :meth:`RTDETRHead._decode`; every layer adds to the logits of the edges of the first estimate."""
        depth = self.config.layers if every_layer else self.config.depth
        values = bin_values(self.up, self.reg_scale, self.config.bins)
        logits: list[Tensor] = []
        boxes: list[Tensor] = []
        edges: list[Tensor] = []
        positions = None
        for index in range(depth):
            before = x.detach()
            positions = self._positions(references, positions)
            x = self.layers[index](x, positions, references, maps, mask)
            if not edges:
                boxes.append((self.pre_bbox_head(x) + inverse_sigmoid(references)).sigmoid())
                if every_layer:
                    logits.append(self.dec_score_head[0](x))
            change = self.dec_bbox_head[min(index, len(self.dec_bbox_head) - 1)](x + before if edges else x).unflatten(-1, (4, -1))
            edges.append(change + edges[-1] if edges else change)
            boxes.append(distances_to_cxcywh(expected_distances(edges[-1], values), boxes[0].detach(), self.reg_scale))
            references = boxes[-1].detach()
            if every_layer or index == depth - 1:
                logits.append(self.lqe_layers[index](self.dec_score_head[index](x), edges[-1]))
        return Decoded(torch.stack(logits, 2), torch.stack(boxes, 2), (torch.stack(edges, 2),))
