"""Region proposal network: a dense head with one class, its losses and its proposals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from detkit.config import Config
from detkit.heads.anchors import AnchorConfig, GridAnchors
from detkit.heads.dense import DenseHead, common_channels
from detkit.layers import loss_normalizer
from detkit.ops.boxes import clip_boxes
from detkit.ops.coder import decode, encode
from detkit.ops.losses import binary_cross_entropy, smooth_l1
from detkit.ops.match import match_by_iou
from detkit.ops.sample import Sampler, generator_for, sample
from detkit.ops.select import Selection, select
from detkit.structures import Batch, Detections, Proposals, Size, StageExplanation, Targets

MIN_SIZE = 1e-3
"""Minimum side of a proposal in pixels (torchvision)."""


class RPNConfig(Config):
    """Parameters of a region proposal network; the defaults are those of torchvision."""

    anchors: AnchorConfig = AnchorConfig()
    """Anchors of every level."""
    depth: int = Field(1, ge=1)
    """Number of 3x3 convolutions before the outputs."""
    positive_iou: float = Field(0.7, ge=0, le=1)
    """IoU with an object from which an anchor is positive; each object's best anchors are positive at any IoU."""
    negative_iou: float = Field(0.3, ge=0, le=1)
    """IoU below which an anchor is background."""
    samples_per_image: int = Field(256, ge=1)
    """Anchors per image that are sampled for the loss."""
    positive_fraction: float = Field(0.5, ge=0, le=1)
    """Maximum fraction of sampled anchors that are positive."""
    train_pre_nms_top_k: int = Field(2000, ge=1)
    """Highest-scoring anchors of each level that enter NMS in training."""
    train_max_proposals: int = Field(2000, ge=1)
    """Maximum number of proposals per image in training."""
    pre_nms_top_k: int = Field(1000, ge=1)
    """Highest-scoring anchors of each level that enter NMS in detection."""
    max_proposals: int = Field(1000, ge=1)
    """Maximum number of proposals per image in detection."""
    nms_iou: float = Field(0.7, ge=0, le=1)
    """IoU above which the lower-scoring of two proposals of a level is removed."""
    min_score: float = Field(0.0, ge=0, lt=1)
    """Proposals must score more than this."""

    def build(self, channels: Sequence[int]) -> RPN:
        """Build the network for feature maps with these channels.

        Raises:
            ValueError: If the levels differ in channels, or the anchors are for another number of levels.
        """
        anchors = self.anchors.build(len(channels))
        return RPN(DenseHead(common_channels(channels, "rpn"), anchors.per_cell, depth=self.depth), anchors, self)


class RPN(nn.Module):
    """Proposes regions that may contain an object of any class.

    Args:
        head: A dense head with one class.
        anchors: Its anchors.
        config: Thresholds, sampling and limits.
    """

    def __init__(self, head: DenseHead, anchors: GridAnchors, config: RPNConfig) -> None:
        super().__init__()
        self.head, self.anchors, self.config = head, anchors, config
        self.sample: Sampler = sample

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return ``(B, N)`` objectness logits and ``(B, N, 4)`` deltas of all anchors."""
        logits, deltas = self.head(maps)
        return logits[..., 0], deltas

    def anchors_for(self, maps: Sequence[Tensor], batch: Batch) -> list[Tensor]:
        """Return the anchors of each level, ``(N_l, 4)``, for the feature maps of this batch."""
        levels: list[Tensor] = self.anchors(batch.padded_size, [(m.shape[-2], m.shape[-1]) for m in maps])
        return levels

    @torch.no_grad()
    def propose(self, logits: Tensor, deltas: Tensor, anchors: list[Tensor], batch: Batch, *, training: bool) -> list[Proposals]:
        """Return the proposals of each image, best first, clipped to the image.

        Args:
            logits: Logits of :meth:`forward`.
            deltas: Deltas of :meth:`forward`.
            anchors: Anchors of :meth:`anchors_for`.
            batch: The images.
            training: Whether to use the limits for training.
        """
        limits = self._limits(training)
        selected = (self._selected((logits[n], deltas[n]), anchors, batch.sizes[n], **limits) for n in range(len(batch.sizes)))
        return [Proposals(boxes, selection.scores.sigmoid()) for boxes, selection in selected]

    def _limits(self, training: bool) -> dict[str, Any]:
        """Return the limits of :func:`select`, which differ between training and detection."""
        config = self.config
        return {
            "pre_nms_top_k": config.train_pre_nms_top_k if training else config.pre_nms_top_k,
            "nms_iou": config.nms_iou,
            "max_detections": config.train_max_proposals if training else config.max_proposals,
        }

    def _selected(self, outputs: tuple[Tensor, Tensor], anchors: list[Tensor], size: Size, **limits: Any) -> tuple[Tensor, Selection]:
        """Return the boxes that the anchors propose by the logits and deltas of one image, and the anchors that they come from."""
        (logits, deltas), rows, min_score = outputs, torch.cat(anchors), self.config.min_score

        def boxes(selection: Selection) -> Tensor:
            return clip_boxes(decode(deltas[selection.rows], rows[selection.rows]), size)

        return select(
            boxes,
            logits,
            min_score=math.log(min_score / (1 - min_score)) if min_score > 0 else None,
            levels=[len(level) for level in anchors],
            min_size=MIN_SIZE,
            nms_per="levels",
            **limits,
        )

    def assignment(self, anchors: Tensor, targets: Targets) -> Tensor:
        """Return ``(N,)``: the row of the target that each of ``(N, 4)`` anchors is assigned to, or ``BACKGROUND`` or ``IGNORE``."""
        config = self.config
        return match_by_iou(anchors, targets, positive_iou=config.positive_iou, negative_iou=config.negative_iou, allow_low_quality=True)

    @torch.no_grad()
    def explain(self, logits: Tensor, deltas: Tensor, anchors: list[Tensor], batch: Batch, targets: Targets) -> StageExplanation:
        """Explain the proposals for a batch of one image, with the limits for detection."""
        assignment, scores = self.assignment(torch.cat(anchors), targets), logits[0].float().sigmoid()
        limits = self._limits(training=False)
        candidates, kept = (
            self._selected((logits[0], deltas[0]), anchors, batch.sizes[0], **limits | changed)
            for changed in ({"nms_iou": None, "max_detections": None}, {})
        )
        before_nms, after_nms = (
            Detections(boxes, entries.scores.sigmoid(), torch.zeros_like(entries.rows)) for boxes, entries in (candidates, kept)
        )
        return StageExplanation(
            "rpn",
            "anchor",
            tuple(anchors),
            assignment,
            scores,
            before_nms,
            after_nms,
            has_classes=False,
            before_rows=candidates[1].rows,
            after_rows=kept[1].rows,
        )

    def loss(self, logits: Tensor, deltas: Tensor, anchors: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Return the losses over a sample of anchors.

        Returns:
            ``rpn_objectness`` and ``rpn_box``, both divided by the number of anchors sampled in the batch.
        """
        config, rows = self.config, torch.cat(anchors)
        objectness, box, count = [], [], 0
        for image, (target, seed) in enumerate(zip(targets, batch.seeds, strict=True)):
            assignment = self.assignment(rows, target)
            positive, negative = self.sample(assignment, config.samples_per_image, config.positive_fraction, generator_for(seed, 0))
            selection = torch.cat((positive, negative))
            objectness_target = torch.zeros(len(selection), device=logits.device)
            objectness_target[: len(positive)] = 1
            objectness.append(binary_cross_entropy(logits[image][selection], objectness_target))
            box.append(smooth_l1(deltas[image][positive], encode(target.boxes[assignment[positive]], rows[positive]), beta=1 / 9))
            count += len(selection)
        total = loss_normalizer(logits.new_tensor(float(count)))
        return {"rpn_objectness": torch.stack(objectness).sum() / total, "rpn_box": torch.stack(box).sum() / total}
