"""Second stage: pool each proposal, classify it and refine its box (Fast R-CNN, arXiv:1504.08083)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn

from detkit.heads.dense import common_channels
from detkit.heads.region.fitted import FittedConfig, FittedLayers
from detkit.heads.region.layers import ConvFC, ConvPool, Flat, RegionHeadConfig, RegionPredictor, TwoFC, TwoFCConfig
from detkit.heads.region.pooling import PooledRegionsConfig, pool_regions
from detkit.heads.text_classes import TextClassesConfig
from detkit.layers import loss_normalizer
from detkit.ops.boxes import clip_boxes
from detkit.ops.coder import decode, encode
from detkit.ops.losses import cross_entropy, smooth_l1, zero_loss
from detkit.ops.match import match_by_iou
from detkit.ops.sample import Sampler, generator_for, sample
from detkit.ops.select import Selection
from detkit.structures import Batch, Detections, Proposals, Size, StageExplanation, Targets

MIN_SIZE = 1e-2
"""Minimum side of a detection in pixels (torchvision)."""

RegionSource = Sequence[Tensor] | Callable[[list[Tensor]], Tensor]
"""Source of regions: feature maps to pool from, or a function that returns ``(sum N_i, C, S, S)`` for the boxes of each image."""


class RegionConfig(PooledRegionsConfig):
    """Parameters of the second stage, including its postprocessing; the defaults are those of torchvision."""

    pre_nms_top_k: int | None = Field(None, ge=1)
    """Highest scores of an image that enter NMS; none: all."""
    head: RegionHeadConfig = TwoFCConfig()
    """Network over pooled regions."""
    positive_iou: float = Field(0.5, ge=0, le=1)
    """IoU with an object from which a proposal gets the object's class."""
    negative_iou: float = Field(0.5, ge=0, le=1)
    """IoU below which a proposal is background."""
    min_negative_iou: float = Field(0.0, ge=0, le=1)
    """IoU below which a proposal is ignored as too easy, on images with objects; Fast R-CNN has 0.1."""
    samples_per_image: int = Field(512, ge=1)
    """Proposals per image that are sampled for the loss."""
    positive_fraction: float = Field(0.25, ge=0, le=1)
    """Maximum fraction of sampled proposals that are positive."""
    add_targets: bool = True
    """Whether ground-truth boxes are added to the proposals in training."""
    box_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    """Factors on the deltas of x, y, width and height."""
    box_beta: float = Field(1 / 9, gt=0)
    """Error at which the smooth L1 loss of a delta becomes linear."""
    text: TextClassesConfig | None = None
    """How regions are compared with text embeddings, for classes defined by phrases; none: a linear layer predicts the classes."""
    box_regression: bool = True
    """Whether a trained layer refines the boxes; R-CNN and SPPNet fit regressors afterwards instead."""
    fitted: FittedConfig | None = None
    """Layers that stages fit after the network is trained; none: no such layers."""

    def build(
        self, channels: Sequence[int], strides: Sequence[float], num_classes: int, factors: tuple[float, ...] = ()
    ) -> RegionClassifier:
        """Build the second stage for feature maps with these channels and strides.

        Args:
            channels: Channels of each map.
            strides: Stride of each map in pixels.
            num_classes: K.
            factors: Image scales of the maps, if they come from one network at several scales.

        Raises:
            ValueError: If the levels differ in channels.
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
    """Sampled regions of one image and their targets.

    Attributes:
        boxes: ``(n, 4)``, the positive ones first.
        labels: ``(n,)``, K for background.
        deltas: ``(p, 4)`` target deltas of the p positive boxes.
        rows: ``(p,)`` the target that each positive box is assigned to.
    """

    boxes: Tensor
    labels: Tensor
    deltas: Tensor
    rows: Tensor


class RegionClassifier(nn.Module):
    """Classifies proposals and refines their boxes.

    Args:
        head: The network over pooled regions.
        predictor: Its last layers.
        strides: Strides of the maps that regions are pooled from, finest first.
        config: Pooling, sampling, losses and postprocessing.
        fitted: Layers that are fitted after the others are trained.
        factors: Image scales of the maps, if they come from one network at several scales.

    Attributes:
        compiled_pooling: Whether pooling may load compiled kernels; a runtime that detects in a single image can do without.
    """

    compiled_pooling: bool = True

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
        """Predict classes and deltas of the boxes of all images; only the first ``len(strides)`` maps are used.

        Returns:
            ``(n, K + 1)`` logits and ``(n, K, 4)`` deltas, image by image.
        """
        logits, deltas = self.predictor(self.head(self.pooled(maps, boxes)))
        return logits, deltas

    def predict(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(n, K)`` scores and ``(n, K, 4)`` deltas of pooled regions, from the fitted layers where they are fitted."""
        hidden = self.head(pooled)
        logits, deltas = self.predictor(hidden)
        scores = logits.softmax(-1)[:, : self.num_classes]
        return (scores, deltas) if self.fitted is None else self.fitted(pooled, hidden, scores, deltas)

    @property
    def refines_boxes(self) -> bool:
        """Whether a layer refines the boxes; otherwise they are the proposals."""
        return self.predictor.deltas is not None or (self.fitted is not None and bool(self.fitted.has_boxes))

    def pooled(self, maps: RegionSource, boxes: list[Tensor]) -> Tensor:
        """Return ``(n, C, S, S)``, the input of the head for the boxes of all images, image by image."""
        if callable(maps):
            return maps(boxes)
        levels = tuple(maps[: len(self.strides)])
        return pool_regions(levels, boxes, self.strides, self.config, factors=self.factors, compiled=self.compiled_pooling)

    def assignment(self, boxes: Tensor, targets: Targets) -> Tensor:
        """Return ``(N,)``: the row of the target that each of ``(N, 4)`` proposals is assigned to, or ``BACKGROUND`` or ``IGNORE``."""
        config = self.config
        low, high = config.min_negative_iou, config.negative_iou
        return match_by_iou(boxes, targets, positive_iou=config.positive_iou, negative_iou=high, min_negative_iou=low)

    @torch.no_grad()
    def sample_targets(self, proposals: Proposals, targets: Targets, seed: int) -> RegionTargets:
        """Sample the proposals of one image and return them with their labels (K for background) and target deltas."""
        config, boxes = self.config, proposals.boxes
        if config.add_targets:
            boxes = torch.cat((boxes, targets.boxes[~targets.is_crowd]))
        assignment = self.assignment(boxes, targets)
        positive, negative = self.sample(assignment, config.samples_per_image, config.positive_fraction, generator_for(seed, 1))
        rows = assignment[positive]
        labels = targets.labels.new_full((len(positive) + len(negative),), self.num_classes)
        labels[: len(positive)] = targets.labels[rows]
        target_deltas = encode(targets.boxes[rows], boxes[positive], config.box_weights)
        return RegionTargets(boxes[torch.cat((positive, negative))], labels, target_deltas, rows)

    def sample_batch(self, proposals: Sequence[Proposals], batch: Batch, targets: Sequence[Targets]) -> list[RegionTargets]:
        """Sample the proposals of each image of a batch, by the seeds of the batch."""
        return [self.sample_targets(*parts) for parts in zip(proposals, targets, batch.seeds, strict=True)]

    def loss(self, maps: RegionSource, samples: Sequence[RegionTargets]) -> dict[str, Tensor]:
        """Return the losses over the sampled proposals of each image.

        Returns:
            ``region_class`` and, with ``box_regression``, ``region_box``; both are divided by the number of proposals sampled in the batch.
        """
        config = self.config
        labels = torch.cat([sample.labels for sample in samples])
        total = loss_normalizer(torch.tensor(float(len(labels)), device=labels.device))
        if not len(labels):
            # One placeholder region per image keeps the backbone in the graph when there are no proposals.
            placeholder = self.pooled(maps, [samples[0].boxes.new_tensor([[0.0, 0.0, 1.0, 1.0]])] * len(samples))
            zero = zero_loss(placeholder, *(parameter for parameter in self.parameters() if parameter.requires_grad))
            return {"region_class": zero, "region_box": zero} if config.box_regression else {"region_class": zero}
        logits, deltas = self(maps, [sample.boxes for sample in samples])
        losses = {"region_class": cross_entropy(logits, labels) / total}
        if config.box_regression:
            positive = (labels < self.num_classes).nonzero().flatten()
            target_deltas = torch.cat([sample.deltas for sample in samples])
            losses["region_box"] = smooth_l1(deltas[positive, labels[positive]], target_deltas, beta=config.box_beta) / total
        return losses

    def detect(
        self, maps: RegionSource, proposals: Sequence[Proposals], batch: Batch, unreported: Tensor | None = None
    ) -> list[Detections]:
        """Return the detections of each image, best first, clipped to the image.

        Args:
            maps: Source of the regions.
            proposals: Proposals of each image.
            batch: The images.
            unreported: ``(K,)`` bool; True for classes that are never reported.
        """
        scores, deltas = self._predict(maps, proposals, unreported)
        counts = [len(rows) for rows in proposals]
        parts = zip(torch.split(scores, counts), torch.split(deltas, counts), proposals, batch.sizes, strict=True)
        return [self._select(self.config, *part)[0] for part in parts]

    @torch.no_grad()
    def explain(
        self, maps: RegionSource, proposals: Proposals, batch: Batch, targets: Targets, unreported: Tensor | None
    ) -> StageExplanation:
        """Explain the detections from the proposals of a batch of one image."""
        scores, deltas = self._predict(maps, [proposals], unreported)
        configs = self.config.without_nms(), self.config
        before_nms, after_nms = (self._select(config, scores, deltas, proposals, batch.sizes[0]) for config in configs)
        return StageExplanation(
            "region",
            "proposal",
            (proposals.boxes,),
            self.assignment(proposals.boxes, targets),
            scores.amax(1),
            before_nms[0],
            after_nms[0],
            before_rows=before_nms[1],
            after_rows=after_nms[1],
            rules=self.config,
        )

    def _predict(self, maps: RegionSource, proposals: Sequence[Proposals], unreported: Tensor | None) -> tuple[Tensor, Tensor]:
        scores, deltas = self.predict(self.pooled(maps, [rows.boxes for rows in proposals]))
        return scores if unreported is None else scores.masked_fill(unreported, 0.0), deltas

    def _select(self, config: RegionConfig, scores: Tensor, deltas: Tensor, proposals: Proposals, size: Size) -> tuple[Detections, Tensor]:
        """Return the detections of one image, and the proposal of each."""

        def boxes(selection: Selection) -> Tensor:
            refined = decode(deltas[selection.rows, selection.labels], proposals.boxes[selection.rows], config.box_weights)
            return clip_boxes(refined, size)

        selected_boxes, selection = config.select(boxes, scores, min_size=MIN_SIZE)
        return Detections(selected_boxes, selection.scores, selection.labels), selection.rows
