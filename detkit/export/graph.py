"""The networks that exported files hold: from pixels to detections, or to class scores and a box at every location."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from detkit.accelerate.fold import fold_batch_norms
from detkit.export.rms_norm import replace_rms_norms
from detkit.export.select import BoxSource, Entries, Selected, level_of_rows, select
from detkit.heads.one_stage import level_lengths
from detkit.heads.postprocess import PostprocessConfig
from detkit.inference.exported.metadata import OutputKind
from detkit.inference.exported.outputs import IMAGES, OUTPUTS, PROBABILITIES, SIZES
from detkit.models.detector import Detector
from detkit.models.one_stage import OneStage
from detkit.ops.select import Selection
from detkit.structures import Batch

MAX_DETECTIONS = 1000
"""Detections per image that a file returns if the detector has no limit, so that its outputs have a fixed size."""


class Graph(nn.Module):
    """A detector as a function of tensors that can be traced.

    Args:
        detector: The detector; not modified, as batch norms are folded in a copy.
        fold: Whether batch norms are folded into the convolutions; if not, the file has the tensors of the checkpoint.

    Attributes:
        kind: Kind of the outputs.
        rules: How detections are selected from the outputs, or were.
        levels: Number of locations of each level, of a graph that does not return it.
        mask_side: Cells of a side of each mask; None: it returns no masks.
    """

    kind: ClassVar[OutputKind]
    rules: PostprocessConfig
    levels: tuple[int, ...] | None = None
    mask_side: int | None = None

    def __init__(self, detector: Detector, *, fold: bool = True) -> None:
        super().__init__()
        self.detector: Any = (fold_batch_norms(detector) if fold else copy.deepcopy(detector)).requires_grad_(False).eval()
        replace_rms_norms(self.detector)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the arguments of :meth:`forward`."""
        return (IMAGES, SIZES) if self.kind == "detections" else (IMAGES,)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what :meth:`forward` returns."""
        return OUTPUTS[self.kind]

    def example(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return arguments for :meth:`forward` to trace it with."""
        sizes = torch.tensor([images.shape[-2:]] * len(images))
        return (images, sizes)[: len(self.inputs)]

    def batch(self, images: Tensor) -> Batch:
        """Return normalized images as a batch; the number of images stays free while a graph is traced."""
        normalized = (images - self.detector.mean) / self.detector.std
        return Batch(normalized, ((images.shape[-2], images.shape[-1]),) * int(images.shape[0]))

    def complete(self, model: Any, opset: int) -> None:
        """Add to the traced ``onnx.ModelProto``, in place, what cannot be traced."""

    def known_dimensions(self) -> dict[str, dict[int, int]]:
        """Return the dimensions of the outputs that are always the same, besides the number of images."""
        if self.kind == "detections":
            count = self.rules.max_detections or MAX_DETECTIONS
            return {"boxes": {1: count, 2: 4}, "scores": {1: count}, "labels": {1: count}}
        classes = self.detector.num_classes
        if self.kind == "pixels":
            return {PROBABILITIES: {1: classes}}
        return {"scores": {1: classes}} if self.kind == "classes" else {"scores": {2: classes}, "boxes": {2: 4}}

    def dynamic_axes(self, batch_size: int | None) -> dict[str, dict[int, str]]:
        """Return the dimensions that stay free: the size of images unless it is fixed, and without a ``batch_size`` their number."""
        axes: dict[str, dict[int, str]] = {name: {} for name in (*self.inputs, *self.outputs)}
        if self.detector.input_size is None:
            axes[IMAGES] |= {2: "height", 3: "width"}
            if self.kind == "locations":
                axes["scores"][1] = axes["boxes"][1] = "locations"
            if self.kind == "pixels":
                axes[PROBABILITIES] |= {2: "height", 3: "width"}
        if batch_size is None:
            for name in axes.keys() - {"levels"}:
                axes[name][0] = "batch"
        return axes


class OneStageLocations(Graph):
    """Network and decoding of a one-stage detector, without thresholding and NMS."""

    kind: ClassVar[OutputKind] = "locations"

    def __init__(self, detector: OneStage, *, fold: bool = True) -> None:
        super().__init__(detector, fold=fold)
        self.rules = detector.head.postprocess

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return scores, boxes and level lengths.

        Args:
            images: ``(B, 3, H, W)`` float RGB in [0, 1], resized according to the detector's config, and padded at the right and bottom
                with the detector's ``mean`` to multiples of ``pad_multiple``.

        Returns:
            Scores ``(B, N, K)``, -1 for classes that are never reported; boxes ``(B, N, 4)``, ``x1 y1 x2 y2`` in pixels of the tensor,
            which may extend beyond the image; and the number of the N locations in each level.
        """
        scores, outputs, locations = self.predict(images)
        rows = torch.arange(scores.shape[1], device=images.device).expand(scores.shape[0], -1)
        entries = Entries(torch.ones_like(rows, dtype=torch.float32), rows, torch.zeros_like(rows))
        return scores, self.decode(outputs, locations, entries), level_lengths(locations)

    def predict(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...], list[Tensor]]:
        """Return the scores, the outputs of the head, and the locations of each level."""
        batch = self.batch(images)
        outputs, locations = self.detector.split_outputs(self.detector.raw(batch), batch)
        scores = self.detector.head.scores(outputs)
        if self.detector.unreported is not None:
            scores = scores.masked_fill(self.detector.unreported, -1.0)
        return scores, outputs, locations

    def decode(self, outputs: tuple[Tensor, ...], locations: list[Tensor], entries: Entries) -> Tensor:
        """Return the boxes ``(B, M, 4)`` of entries: the images of the batch are decoded like one with all their locations."""
        every = torch.cat(locations)
        images, count = entries.rows.shape[0], every.shape[0]
        starts = torch.arange(images, device=every.device)[:, None] * count
        levels = level_of_rows([level.shape[0] for level in locations], entries.rows)
        flat = (part.flatten() for part in (entries.scores, entries.rows + starts, entries.labels, levels))
        repeated = every.expand(images, -1, -1).flatten(0, 1)
        boxes = self.detector.head.boxes(tuple(part.flatten(0, 1)[None] for part in outputs), repeated, 0, Selection(*flat))
        return boxes.reshape(*entries.rows.shape, 4)  # type: ignore[no-any-return]


class OneStageDetections(OneStageLocations):
    """A one-stage detector with thresholding and NMS."""

    kind: ClassVar[OutputKind] = "detections"

    def __init__(self, detector: OneStage, *, fold: bool = True) -> None:
        super().__init__(detector, fold=fold)
        self.rules = limited(self.rules)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Return boxes, scores, labels and counts, see :data:`detkit.inference.exported.outputs.OUTPUTS`.

        Args:
            images: As in :meth:`OneStageLocations.forward`.
            sizes: ``(B, 2)`` height and width of each image before padding.
        """
        scores, outputs, locations = self.predict(images)
        source = BoxSource(lambda entries: self.decode(outputs, locations, entries), sizes)
        return as_outputs(select(scores, source, self.rules, [level.shape[0] for level in locations]))


def limited(rules: PostprocessConfig) -> PostprocessConfig:
    """Return the rules with a limit on detections."""
    return rules if rules.max_detections is not None else rules.with_max_detections(MAX_DETECTIONS)


def as_outputs(selected: Selected) -> tuple[Tensor, ...]:
    """Return selected detections in the order of the file's outputs."""
    return selected.boxes, selected.scores, selected.labels, selected.counts
