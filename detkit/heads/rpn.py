"""Region proposal network: a dense head with one class, and what it learns and proposes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn

from detkit.config import Config
from detkit.heads.anchors import AnchorConfig, GridAnchors
from detkit.heads.dense import DenseHead
from detkit.heads.levels import common_channels
from detkit.layers import loss_normalizer
from detkit.ops.boxes import clip_boxes
from detkit.ops.coder import decode, encode
from detkit.ops.losses import binary_cross_entropy, smooth_l1
from detkit.ops.match import match_by_iou
from detkit.ops.sample import Sampler, generator_for, sample
from detkit.ops.select import Selection, select
from detkit.structures import Batch, Detections, Proposals, StageExplanation, Targets

MIN_SIZE = 1e-3
"""Pixels a proposal's side must have (torchvision)."""


class RPNConfig(Config):
    """The numbers of a region proposal network; the defaults are torchvision's."""

    anchors: AnchorConfig = AnchorConfig()
    """The anchors of every level."""
    depth: int = Field(1, ge=1)
    """3x3 convolutions before the outputs."""
    positive_iou: float = Field(0.7, ge=0, le=1)
    """IoU with an object that makes an anchor positive; each object's best anchors are positive anyway."""
    negative_iou: float = Field(0.3, ge=0, le=1)
    """IoU below which an anchor is background."""
    samples_per_image: int = Field(256, ge=1)
    """Anchors of an image that the loss looks at."""
    positive_fraction: float = Field(0.5, ge=0, le=1)
    """The most of them that are positive."""
    train_pre_nms_top_k: int = Field(2000, ge=1)
    """Best anchors of each level that enter suppression, in training."""
    train_max_proposals: int = Field(2000, ge=1)
    """Proposals of an image, in training."""
    pre_nms_top_k: int = Field(1000, ge=1)
    """Best anchors of each level that enter suppression, in detection."""
    max_proposals: int = Field(1000, ge=1)
    """Proposals of an image, in detection."""
    nms_iou: float = Field(0.7, ge=0, le=1)
    """Greatest IoU of two proposals from one level."""
    min_score: float = Field(0.0, ge=0, lt=1)
    """Proposals must score more."""

    def build(self, channels: Sequence[int]) -> RPN:
        """The module, over maps with these channels.

        Raises:
            ValueError: the levels differ in channels, or the anchors are for another number of levels.
        """
        anchors = self.anchors.build(len(channels))
        return RPN(DenseHead(common_channels(channels, "rpn"), anchors.per_cell, depth=self.depth), anchors, self)


class RPN(nn.Module):
    """Proposes regions that may hold an object of any class.

    Args:
        head: A dense head with one class.
        anchors: Its anchors.
        config: The numbers.
    """

    def __init__(self, head: DenseHead, anchors: GridAnchors, config: RPNConfig) -> None:
        super().__init__()
        self.head, self.anchors, self.config = head, anchors, config
        self.sample: Sampler = sample

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """``(B, N)`` objectness logits and ``(B, N, 4)`` deltas over all anchors."""
        logits, deltas = self.head(maps)
        return logits.squeeze(-1), deltas

    def anchors_on(self, maps: Sequence[Tensor], batch: Batch) -> list[Tensor]:
        """The anchors of each level, ``(N_l, 4)``, for maps of this batch."""
        levels: list[Tensor] = self.anchors(batch.padded_size, [(m.shape[-2], m.shape[-1]) for m in maps])
        return levels

    @torch.no_grad()
    def propose(
        self, logits: Tensor, deltas: Tensor, anchors: list[Tensor], batch: Batch, *, training: bool, suppressed: bool = True
    ) -> list[Proposals]:
        """The best regions of each image, best first, clipped to it.

        Args:
            logits: Of :meth:`forward`.
            deltas: Of :meth:`forward`.
            anchors: Of :meth:`anchors_on`.
            batch: The images.
            training: Whether the numbers for training are taken.
            suppressed: Whether regions that overlap a better one fall, and a limit holds; else all candidates come.
        """
        config, levels = self.config, [len(level) for level in anchors]
        rows = torch.cat(anchors)
        proposals = []
        for image, size in enumerate(batch.sizes):

            def boxes(selection: Selection, image: int = image, size: tuple[int, int] = size) -> Tensor:
                return clip_boxes(decode(deltas[image][selection.rows], rows[selection.rows]), size)

            found, selection = select(
                boxes,
                logits[image],
                min_score=math.log(config.min_score / (1 - config.min_score)) if config.min_score > 0 else None,
                pre_nms_top_k=config.train_pre_nms_top_k if training else config.pre_nms_top_k,
                levels=levels,
                min_size=MIN_SIZE,
                nms_iou=config.nms_iou if suppressed else None,
                nms_per="levels",
                max_detections=None if not suppressed else config.train_max_proposals if training else config.max_proposals,
            )
            proposals.append(Proposals(found, selection.scores.sigmoid()))
        return proposals

    def assignment(self, anchors: Tensor, targets: Targets) -> Tensor:
        """``(N,)`` the row of the target that each of ``(N, 4)`` anchors answers for, or ``BELOW`` or ``BETWEEN``."""
        config = self.config
        return match_by_iou(anchors, targets, positive_iou=config.positive_iou, negative_iou=config.negative_iou, allow_low_quality=True)

    @torch.no_grad()
    def explain(self, logits: Tensor, deltas: Tensor, anchors: list[Tensor], batch: Batch, targets: Targets) -> StageExplanation:
        """What this stage did with the one image of a batch, in detection."""
        (before_nms,) = self.propose(logits, deltas, anchors, batch, training=False, suppressed=False)
        (after_nms,) = self.propose(logits, deltas, anchors, batch, training=False)
        assignment, scores = self.assignment(torch.cat(anchors), targets), logits[0].float().sigmoid()
        found = [
            Detections(rows.boxes, rows.scores, rows.scores.new_zeros(len(rows), dtype=torch.int64)) for rows in (before_nms, after_nms)
        ]
        return StageExplanation("rpn", "anchor", tuple(anchors), assignment, scores, found[0], found[1], has_classes=False)

    def loss(self, logits: Tensor, deltas: Tensor, anchors: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Losses of a sample of anchors: ``rpn_objectness`` and ``rpn_box``, both divided by the anchors sampled in the batch."""
        config, rows = self.config, torch.cat(anchors)
        objectness, box, count = [], [], 0
        for image, (target, seed) in enumerate(zip(targets, batch.seeds, strict=True)):
            assignment = self.assignment(rows, target)
            positive, negative = self.sample(assignment, config.samples_per_image, config.positive_fraction, generator_for(seed, 0))
            selection = torch.cat((positive, negative))
            wanted = torch.zeros(len(selection), device=logits.device)
            wanted[: len(positive)] = 1
            objectness.append(binary_cross_entropy(logits[image][selection], wanted))
            box.append(smooth_l1(deltas[image][positive], encode(target.boxes[assignment[positive]], rows[positive]), beta=1 / 9))
            count += len(selection)
        total = loss_normalizer(logits.new_tensor(float(count)))
        return {"rpn_objectness": torch.stack(objectness).sum() / total, "rpn_box": torch.stack(box).sum() / total}
