"""The second stage: pool each proposal, say its class and move its box (Fast R-CNN, arXiv:1504.08083)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn

from detkit.heads.levels import common_channels
from detkit.heads.region import ConvFC, ConvPool, Flat, RegionHeadConfig, RegionPredictor, TwoFC, TwoFCConfig
from detkit.heads.region_fitted import FittedConfig, FittedLayers
from detkit.heads.region_pooling import PooledRegionsConfig, pool_regions
from detkit.heads.text_classes import TextClassesConfig
from detkit.layers import loss_normalizer
from detkit.ops.boxes import clip_boxes
from detkit.ops.coder import decode, encode
from detkit.ops.losses import cross_entropy, nothing, smooth_l1
from detkit.ops.match import match_by_iou
from detkit.ops.sample import Sampler, generator_for, sample
from detkit.ops.select import Selection
from detkit.structures import Batch, Detections, Proposals, Size, StageExplanation, Targets

MIN_SIZE = 1e-2
"""Pixels a detection's side must have (torchvision)."""

RegionSource = Sequence[Tensor] | Callable[[list[Tensor]], Tensor]
"""Where regions come from: maps that they are pooled from, or what gives ``(sum N_i, C, S, S)`` for the boxes of each image."""


class RegionConfig(PooledRegionsConfig):
    """The numbers of the second stage, those by which detections are chosen among them; the defaults are torchvision's."""

    pre_nms_top_k: int | None = Field(None, ge=1)
    """Best scores of an image that enter suppression; none: all."""
    head: RegionHeadConfig = TwoFCConfig()
    """The network over pooled regions."""
    positive_iou: float = Field(0.5, ge=0, le=1)
    """IoU with an object from which a proposal is of its class."""
    negative_iou: float = Field(0.5, ge=0, le=1)
    """IoU below which a proposal is background."""
    min_negative_iou: float = Field(0.0, ge=0, le=1)
    """IoU below which it is too easy and left out, on images with objects."""
    samples_per_image: int = Field(512, ge=1)
    """Proposals of an image that the loss looks at."""
    positive_fraction: float = Field(0.25, ge=0, le=1)
    """The most of them that are positive."""
    add_targets: bool = True
    """Whether true boxes are added to the proposals in training."""
    box_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    """Factors on the deltas of x, y, width and height."""
    box_beta: float = Field(1 / 9, gt=0)
    """Where the smooth L1 loss of a delta turns linear."""
    text: TextClassesConfig | None = None
    """If classes are told apart by embeddings of phrases: how; none: a linear layer tells them."""
    box_regression: bool = True
    """Whether boxes are moved by a layer that learns; R-CNN and SPPNet fit regressors afterwards instead."""
    fitted: FittedConfig | None = None
    """Layers that stages fit after the network has learned; none: there are none."""

    def build(
        self, channels: Sequence[int], strides: Sequence[float], num_classes: int, factors: tuple[float, ...] = ()
    ) -> RegionClassifier:
        """The module, over maps with these channels and strides; ``factors`` if they are of one network at several scales.

        Raises:
            ValueError: the levels differ in channels.
        """
        shape = self.pooled_shape(common_channels(channels, "region"))
        head, fitted = self.head.build(*shape), None
        if self.fitted is not None:
            features = shape[0] * shape[1] ** 2 if self.fitted.boxes_from == "pooled" else head.out_features
            fitted = FittedLayers(head.out_features, features, num_classes, self.fitted)
        predictor = RegionPredictor(head.out_features, num_classes, self.box_regression, self.text)
        return RegionClassifier(head, predictor, tuple(strides), self, fitted, factors)


@dataclass(frozen=True, eq=False)
class RegionTargets:
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
        fitted: Layers that are fitted after the others have learned.
        factors: The scales of the maps, if they are of one network at several.
    """

    def __init__(
        self,
        head: TwoFC | ConvFC | ConvPool | Flat,
        predictor: RegionPredictor,
        strides: tuple[float, ...],
        config: RegionConfig,
        fitted: FittedLayers | None = None,
        factors: tuple[float, ...] = (),
    ) -> None:
        super().__init__()
        self.head, self.predictor, self.strides, self.config, self.factors = head, predictor, strides, config, factors
        self.fitted = fitted
        self.num_classes = predictor.logits.out_features - 1
        self.sample: Sampler = sample

    def forward(self, maps: RegionSource, boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
        """``(n, K + 1)`` logits and ``(n, K, 4)`` deltas of the boxes of all images, in order; further maps are left alone."""
        logits, deltas = self.predictor(self.head(self.pooled(maps, boxes)))
        return logits, deltas

    def pooled(self, maps: RegionSource, boxes: list[Tensor]) -> Tensor:
        """``(n, C, S, S)`` what the head sees of the boxes of all images, in order."""
        if callable(maps):
            return maps(boxes)
        return pool_regions(tuple(maps[: len(self.strides)]), boxes, self.strides, self.config, self.factors)

    def assignment(self, boxes: Tensor, targets: Targets) -> Tensor:
        """``(N,)`` the row of the target that each of ``(N, 4)`` proposals answers for, or ``BELOW`` or ``BETWEEN``."""
        config = self.config
        low, high = config.min_negative_iou, config.negative_iou
        return match_by_iou(boxes, targets, positive_iou=config.positive_iou, negative_iou=high, min_negative_iou=low)

    @torch.no_grad()
    def sample_targets(self, proposals: Proposals, targets: Targets, seed: int) -> RegionTargets:
        """A sample of one image's proposals, with the label and the deltas each should get; background has label K."""
        config, boxes = self.config, proposals.boxes
        if config.add_targets:
            boxes = torch.cat((boxes, targets.boxes[~targets.is_crowd]))
        assignment = self.assignment(boxes, targets)
        positive, negative = self.sample(assignment, config.samples_per_image, config.positive_fraction, generator_for(seed, 1))
        labels = targets.labels.new_full((len(positive) + len(negative),), self.num_classes)
        labels[: len(positive)] = targets.labels[assignment[positive]]
        wanted = encode(targets.boxes[assignment[positive]], boxes[positive], config.box_weights)
        return RegionTargets(boxes[torch.cat((positive, negative))], labels, wanted)

    def loss(self, maps: RegionSource, proposals: Sequence[Proposals], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Losses of a sample of proposals: ``region_class`` and ``region_box``, both divided by the proposals sampled in the batch.

        Without a layer that learns boxes there is the first alone.
        """
        config = self.config
        lessons = [self.sample_targets(*parts) for parts in zip(proposals, targets, batch.seeds, strict=True)]
        labels = torch.cat([sample_targets.labels for sample_targets in lessons])
        total = loss_normalizer(torch.tensor(float(len(labels)), device=labels.device))
        if not len(labels):
            # One region of each image stands for those that are missing, so that what makes the maps is reached too.
            stand_in = self.pooled(maps, [targets[0].boxes.new_tensor([[0.0, 0.0, 1.0, 1.0]])] * len(targets))
            zero = nothing(stand_in, *(parameter for parameter in self.parameters() if parameter.requires_grad))
            return {"region_class": zero, "region_box": zero} if config.box_regression else {"region_class": zero}
        logits, deltas = self(maps, [sample_targets.boxes for sample_targets in lessons])
        losses = {"region_class": cross_entropy(logits, labels) / total}
        if config.box_regression:
            positive = (labels < self.num_classes).nonzero().flatten()
            wanted = torch.cat([sample_targets.wanted for sample_targets in lessons])
            losses["region_box"] = smooth_l1(deltas[positive, labels[positive]], wanted, beta=config.box_beta) / total
        return losses

    def detect(
        self, maps: RegionSource, proposals: Sequence[Proposals], batch: Batch, unreported: Tensor | None = None
    ) -> list[Detections]:
        """The detections of each image, best first, clipped to it; ``unreported`` (K,) bool marks classes that are never reported."""
        scores, deltas = self._scored(maps, proposals, unreported)
        counts = [len(rows) for rows in proposals]
        parts = zip(torch.split(scores, counts), torch.split(deltas, counts), proposals, batch.sizes, strict=True)
        return [self._chosen(self.config, *part) for part in parts]

    @torch.no_grad()
    def explain(
        self, maps: RegionSource, proposals: Proposals, batch: Batch, targets: Targets, unreported: Tensor | None
    ) -> StageExplanation:
        """What this stage did with the proposals of the one image of a batch."""
        scores, deltas = self._scored(maps, [proposals], unreported)
        choices = self.config.without_nms(), self.config
        before_nms, after_nms = (self._chosen(postprocess, scores, deltas, proposals, batch.sizes[0]) for postprocess in choices)
        assignment = self.assignment(proposals.boxes, targets)
        return StageExplanation("region", "proposal", (proposals.boxes,), assignment, scores.amax(1), before_nms, after_nms)

    def _scored(self, maps: RegionSource, proposals: Sequence[Proposals], unreported: Tensor | None) -> tuple[Tensor, Tensor]:
        pooled = self.pooled(maps, [rows.boxes for rows in proposals])
        hidden = self.head(pooled)
        logits, deltas = self.predictor(hidden)
        scores = logits.softmax(-1)[:, : self.num_classes]
        if self.fitted is not None:
            scores, deltas = self.fitted(pooled, hidden, scores, deltas)
        return scores if unreported is None else scores.masked_fill(unreported, 0.0), deltas

    def _chosen(self, config: RegionConfig, scores: Tensor, deltas: Tensor, proposals: Proposals, size: Size) -> Detections:
        def boxes(selection: Selection) -> Tensor:
            moved = decode(deltas[selection.rows, selection.labels], proposals.boxes[selection.rows], config.box_weights)
            return clip_boxes(moved, size)

        found, selection = config.choose(boxes, scores, min_size=MIN_SIZE)
        return Detections(found, selection.scores, selection.labels)
