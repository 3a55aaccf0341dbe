"""The second stage: pool each proposal, say its class and move its box (Fast R-CNN, arXiv:1504.08083)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn

from detkit.heads.choice import ChoiceConfig
from detkit.heads.levels import common_channels
from detkit.heads.region import ConvFC, RegionHeadConfig, RegionPredictor, TwoFC, TwoFCConfig
from detkit.layers import normaliser
from detkit.ops.boxes import clip
from detkit.ops.coder import decode, encode
from detkit.ops.losses import cross_entropy, nothing, smooth_l1
from detkit.ops.match import match_by_iou
from detkit.ops.pooling import multilevel_roi_align
from detkit.ops.sample import Sampler, generator_for, sample
from detkit.ops.select import Chosen
from detkit.structures import Batch, Detections, Proposals, Size, Stage, Targets

MIN_SIZE = 1e-2
"""Pixels a detection's side must have (torchvision)."""


class RegionConfig(ChoiceConfig):
    """The numbers of the second stage, those by which detections are chosen among them; the defaults are torchvision's."""

    candidates: int | None = Field(None, ge=1)
    """Best scores of an image that enter suppression; none: all."""
    head: RegionHeadConfig = TwoFCConfig()
    """The network over pooled regions."""
    pool_size: int = Field(7, ge=1)
    """Cells a side of a pooled region."""
    sampling_ratio: int = Field(2, ge=0)
    """Samples a cell and direction; 0 takes as many as the region has map cells."""
    min_positive: float = Field(0.5, ge=0, le=1)
    """IoU with an object from which a proposal is of its class."""
    max_negative: float = Field(0.5, ge=0, le=1)
    """IoU below which a proposal is background."""
    samples: int = Field(512, ge=1)
    """Proposals of an image that the loss looks at."""
    positive_fraction: float = Field(0.25, ge=0, le=1)
    """The most of them that are positive."""
    add_targets: bool = True
    """Whether true boxes are added to the proposals in training."""
    box_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    """Factors on the deltas of x, y, width and height."""

    def build(self, channels: Sequence[int], strides: Sequence[float], num_classes: int) -> RegionClassifier:
        """The module, over maps with these channels and strides.

        Raises:
            ValueError: the levels differ in channels.
        """
        head = self.head.build(common_channels(channels, "region"), self.pool_size)
        return RegionClassifier(head, RegionPredictor(head.out_features, num_classes), tuple(strides), self)


@dataclass(frozen=True, eq=False)
class Lesson:
    """What the second stage learns from in one image: ``boxes`` (n, 4), the positive ones first, and what they should become."""

    boxes: Tensor
    labels: Tensor
    wanted: Tensor


class RegionClassifier(nn.Module):
    """Classifies proposals and refines their boxes.

    Args:
        head: The network over pooled regions.
        predictor: Its last layers.
        strides: Strides of the maps it pools from, finest first.
        config: The numbers.
    """

    def __init__(self, head: TwoFC | ConvFC, predictor: RegionPredictor, strides: tuple[float, ...], config: RegionConfig) -> None:
        super().__init__()
        self.head, self.predictor, self.strides, self.config = head, predictor, strides, config
        self.num_classes = predictor.logits.out_features - 1
        self.sample: Sampler = sample

    def forward(self, maps: Sequence[Tensor], boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
        """``(n, K + 1)`` logits and ``(n, K, 4)`` deltas of the boxes of all images, in order; further maps are left alone."""
        pooled = multilevel_roi_align(
            tuple(maps[: len(self.strides)]),
            boxes,
            output_size=self.config.pool_size,
            sampling_ratio=self.config.sampling_ratio,
            strides=self.strides,
        )
        logits, deltas = self.predictor(self.head(pooled))
        return logits, deltas

    def matches(self, boxes: Tensor, targets: Targets) -> Tensor:
        """``(N,)`` the row of the target that each of ``(N, 4)`` proposals answers for, or ``BELOW`` or ``BETWEEN``."""
        return match_by_iou(boxes, targets, min_positive=self.config.min_positive, max_negative=self.config.max_negative)

    @torch.no_grad()
    def lesson(self, proposals: Proposals, targets: Targets, seed: int) -> Lesson:
        """A sample of one image's proposals, with the label and the deltas each should get; background has label K."""
        config, boxes = self.config, proposals.boxes
        if config.add_targets:
            boxes = torch.cat((boxes, targets.boxes[~targets.is_crowd]))
        matches = self.matches(boxes, targets)
        positive, negative = self.sample(matches, config.samples, config.positive_fraction, generator_for(seed, 1))
        labels = targets.labels.new_full((len(positive) + len(negative),), self.num_classes)
        labels[: len(positive)] = targets.labels[matches[positive]]
        wanted = encode(targets.boxes[matches[positive]], boxes[positive], config.box_weights)
        return Lesson(boxes[torch.cat((positive, negative))], labels, wanted)

    def loss(self, maps: Sequence[Tensor], proposals: Sequence[Proposals], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Losses of a sample of proposals: ``region_class`` and ``region_box``, both divided by the proposals sampled in the batch."""
        lessons = [self.lesson(*parts) for parts in zip(proposals, targets, batch.seeds, strict=True)]
        labels = torch.cat([lesson.labels for lesson in lessons])
        total = normaliser(maps[0].new_tensor(float(len(labels)), dtype=torch.float32))
        if not len(labels):
            zero = nothing(*self.parameters())
            return {"region_class": zero, "region_box": zero}
        logits, deltas = self(maps, [lesson.boxes for lesson in lessons])
        positive = (labels < self.num_classes).nonzero().flatten()
        wanted = torch.cat([lesson.wanted for lesson in lessons])
        return {
            "region_class": cross_entropy(logits, labels) / total,
            "region_box": smooth_l1(deltas[positive, labels[positive]], wanted, beta=1 / 9) / total,
        }

    def detect(
        self, maps: Sequence[Tensor], proposals: Sequence[Proposals], batch: Batch, unreported: Tensor | None = None
    ) -> list[Detections]:
        """The detections of each image, best first, clipped to it; ``unreported`` (K,) bool marks classes that are never reported."""
        scores, deltas = self._scored(maps, proposals, unreported)
        counts = [len(rows) for rows in proposals]
        parts = zip(torch.split(scores, counts), torch.split(deltas, counts), proposals, batch.sizes, strict=True)
        return [self._chosen(self.config, *part) for part in parts]

    @torch.no_grad()
    def explain(self, maps: Sequence[Tensor], proposals: Proposals, batch: Batch, targets: Targets, unreported: Tensor | None) -> Stage:
        """What this stage did with the proposals of the one image of a batch."""
        scores, deltas = self._scored(maps, [proposals], unreported)
        choices = self.config.without_suppression(), self.config
        before, after = (self._chosen(choice, scores, deltas, proposals, batch.sizes[0]) for choice in choices)
        matches = self.matches(proposals.boxes, targets)
        return Stage("region", "proposal", (proposals.boxes,), matches, scores.amax(1), before, after)

    def _scored(self, maps: Sequence[Tensor], proposals: Sequence[Proposals], unreported: Tensor | None) -> tuple[Tensor, Tensor]:
        logits, deltas = self(maps, [rows.boxes for rows in proposals])
        scores = logits.softmax(-1)[:, : self.num_classes]
        return scores if unreported is None else scores.masked_fill(unreported, 0.0), deltas

    def _chosen(self, config: RegionConfig, scores: Tensor, deltas: Tensor, proposals: Proposals, size: Size) -> Detections:
        def boxes(chosen: Chosen) -> Tensor:
            moved = decode(deltas[chosen.rows, chosen.labels], proposals.boxes[chosen.rows], config.box_weights)
            return clip(moved, size)

        found, chosen = config.choose(boxes, scores, min_size=MIN_SIZE)
        return Detections(found, chosen.scores, chosen.labels)
