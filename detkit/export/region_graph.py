"""The networks of exported detectors with a second stage: proposals are pooled, classified and refined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from detkit.export.graph import Graph, as_outputs, limited
from detkit.export.proposals import propose
from detkit.export.resampling import resized
from detkit.export.select import REMOVED, BoxSource, Entries, select
from detkit.heads.postprocess import PostprocessConfig
from detkit.heads.region.classifier import MIN_SIZE
from detkit.heads.region.pooling import pool_regions
from detkit.inference.exported.metadata import OutputKind
from detkit.inference.exported.outputs import IMAGES, MASKS, PROPOSAL_COUNTS, PROPOSALS, SIZES
from detkit.models.detector import Detector
from detkit.models.fast_rcnn import FastRCNN
from detkit.models.faster_rcnn import FasterRCNN
from detkit.models.mask_rcnn import MaskRCNN
from detkit.ops.coder import decode


class RegionDetections(Graph):
    """Base of the detectors with a second stage.

    Args:
        detector: The detector; not modified.
        fold: Whether batch norms are folded into the convolutions.
    """

    kind: ClassVar[OutputKind] = "detections"

    def __init__(self, detector: Detector, *, fold: bool = True) -> None:
        super().__init__(detector, fold=fold)
        config = self.detector.region.config
        self.rules = limited(PostprocessConfig(**{name: getattr(config, name) for name in PostprocessConfig.model_fields}))

    def pooled(self, maps: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """Pool ``(B, P, 4)`` boxes from feature maps; return ``(B * P, C, S, S)``."""
        region = self.detector.region
        levels = maps[: len(region.strides)]
        return pool_regions(levels, indexed(boxes), region.strides, region.config, factors=region.factors, compiled=False)

    def classified(self, pooled: Tensor, boxes: Tensor, counts: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the file: the detections on pooled proposals.

        Args:
            pooled: ``(B * P, C, S, S)``.
            boxes: ``(B, P, 4)`` proposals in pixels of the images.
            counts: ``(B,)`` number of proposals of each image; those after it are padding.
            sizes: ``(B, 2)`` height and width of each image.
        """
        region, classes = self.detector.region, self.detector.num_classes
        scores, deltas = region.predict(pooled)
        if self.detector.unreported is not None:
            scores = scores.masked_fill(self.detector.unreported, REMOVED)
        padding = torch.arange(boxes.shape[1], device=boxes.device) >= counts[:, None]
        scores = scores.reshape(boxes.shape[0], -1, classes).masked_fill(padding[..., None], REMOVED)
        deltas = deltas.reshape(boxes.shape[0], -1, 4)

        def refined(entries: Entries) -> Tensor:
            given = boxes.gather(1, entries.rows[..., None].expand(-1, -1, 4))
            own = deltas.gather(1, (entries.rows * classes + entries.labels)[..., None].expand(-1, -1, 4))
            return decode(own, given, region.config.box_weights)

        return as_outputs(select(scores, BoxSource(refined, sizes, region.refines_boxes, MIN_SIZE), self.rules))


class FasterRCNNDetections(RegionDetections):
    """Faster R-CNN: both stages, with NMS of the proposals and of the detections."""

    def __init__(self, detector: FasterRCNN, *, fold: bool = True) -> None:
        super().__init__(detector, fold=fold)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """Return boxes, scores, labels and counts, see :data:`detkit.inference.exported.outputs.OUTPUTS`.

        Args:
            images: ``(B, 3, H, W)`` float RGB in [0, 1], resized according to the detector's config, and padded at the right and bottom
                with the detector's ``mean`` to multiples of ``pad_multiple``.
            sizes: ``(B, 2)`` height and width of each image before padding.
        """
        return self.detected(images, sizes)[0]

    def detected(self, images: Tensor, sizes: Tensor) -> tuple[tuple[Tensor, ...], Sequence[Tensor]]:
        """Return the detections, and the maps that regions are pooled from; arguments as in :meth:`forward`."""
        batch, rpn = self.batch(images), self.detector.rpn
        logits, deltas, *maps = self.detector.raw(batch)
        proposals = propose(rpn, logits, deltas, rpn.anchors_for(maps, batch), sizes)
        # Small images have far fewer proposals than the limit, and the second stage takes most of the time.
        boxes = proposals.boxes[:, : proposals.counts.max().clamp(min=1)]
        return self.classified(self.pooled(maps, boxes), boxes, proposals.counts, sizes), maps


class MaskRCNNDetections(FasterRCNNDetections):
    """Mask R-CNN: the detections of Faster R-CNN, and the probabilities of their masks."""

    mask_side: int

    def __init__(self, detector: MaskRCNN, *, fold: bool = True) -> None:
        super().__init__(detector, fold=fold)
        self.mask_side = detector.mask.side

    @property
    def outputs(self) -> tuple[str, ...]:
        """See :attr:`Graph.outputs`."""
        return *super().outputs, MASKS

    def known_dimensions(self) -> dict[str, dict[int, int]]:
        """See :meth:`Graph.known_dimensions`."""
        return {**super().known_dimensions(), MASKS: {2: self.mask_side, 3: self.mask_side}}

    def dynamic_axes(self, batch_size: int | None) -> dict[str, dict[int, str]]:
        """See :meth:`Graph.dynamic_axes`."""
        axes = super().dynamic_axes(batch_size)
        axes[MASKS][1] = "masks"
        return axes

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """Return boxes, scores, labels, counts, and masks for the most detections of any image; arguments as in Faster R-CNN."""
        (boxes, scores, labels, counts), maps = self.detected(images, sizes)
        most = counts.max().clamp(min=1)  # most images have far fewer detections than the limit
        regions, classes = indexed(boxes[:, :most]), labels[:, :most].clamp(min=0).flatten()
        masks = self.detector.mask(maps, regions, classes, compiled=False).sigmoid()
        return boxes, scores, labels, counts, masks.reshape(boxes.shape[0], -1, self.mask_side, self.mask_side)


class FastRCNNDetections(RegionDetections):
    """Fast R-CNN and SPPNet: the second stage on given proposals."""

    def __init__(self, detector: FastRCNN, *, fold: bool = True) -> None:
        super().__init__(detector, fold=fold)

    @property
    def inputs(self) -> tuple[str, ...]:
        """See :attr:`Graph.inputs`."""
        return IMAGES, SIZES, PROPOSALS, PROPOSAL_COUNTS

    def example(self, images: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`Graph.example`."""
        batch, height, width = images.shape[0], images.shape[2], images.shape[3]
        sides = torch.tensor([width, height, width, height], dtype=torch.float32)
        # One for each level of a pyramid, and no sizes equal, which would become constants.
        boxes = torch.tensor([[0.0, 0.0, 0.1, 0.1], [0.0, 0.0, 0.3, 0.3], [0.0, 0.0, 1.0, 1.0]]) * sides
        return *super().example(images)[:1], torch.tensor([[height, width]] * batch), boxes.repeat(batch, 1, 1), torch.tensor([3] * batch)

    def dynamic_axes(self, batch_size: int | None) -> dict[str, dict[int, str]]:
        """See :meth:`Graph.dynamic_axes`."""
        axes = super().dynamic_axes(batch_size)
        axes[PROPOSALS][1] = "proposals"
        return axes

    def forward(self, images: Tensor, sizes: Tensor, proposals: Tensor, proposal_counts: Tensor) -> tuple[Tensor, ...]:
        """Return boxes, scores, labels and counts, see :data:`detkit.inference.exported.outputs.OUTPUTS`.

        Args:
            images: As in :meth:`FasterRCNNDetections.forward`.
            sizes: ``(B, 2)`` height and width of each image before padding.
            proposals: ``(B, P, 4)`` boxes ``x1 y1 x2 y2`` in pixels of ``images``.
            proposal_counts: ``(B,)`` number of proposals of each image; those after it are padding.
        """
        pooled = self.regions(self.batch(images).images, proposals)
        return self.classified(pooled, proposals, proposal_counts, sizes)

    def regions(self, images: Tensor, boxes: Tensor) -> Tensor:
        """Return ``(B * P, C, S, S)`` for normalized images and ``(B, P, 4)`` boxes."""
        scales = self.detector.scales
        if scales == (1.0,):
            return self.pooled(self.detector.neck(images), boxes)
        return self.pooled([self.detector.neck(resized(images, factor))[0] for factor in scales], boxes)


def indexed(boxes: Tensor) -> Tensor:
    """Return boxes ``(B, P, 4)`` as ``(B * P, 5)``, after the position of their image."""
    images = torch.arange(boxes.shape[0], device=boxes.device).to(boxes.dtype)
    return torch.cat((images[:, None, None].expand(-1, boxes.shape[1], 1), boxes), 2).flatten(0, 1)
