"""Interface of one-stage heads: locations, assignment, losses and detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from detkit.config import Config
from detkit.heads.class_layout import ClassLayout
from detkit.heads.postprocess import PostprocessConfig
from detkit.ops.boxes import clip_boxes
from detkit.ops.select import Selection
from detkit.structures import Batch, Detections, Size, StageExplanation, Targets

Outputs = tuple[Tensor, ...]


class OneStageHeadConfig(Config):
    """Base of the configs of one-stage heads; each builds its head."""

    postprocess: PostprocessConfig = PostprocessConfig()
    """How scored boxes become detections."""

    def build(self, channels: Sequence[int], strides: Sequence[int], num_classes: int, input_size: Size | None = None) -> OneStageHead:
        """Build the head for the maps of a neck.

        Args:
            channels: Channels of each map, finest first.
            strides: Strides of the maps in pixels.
            num_classes: K.
            input_size: ``(height, width)`` of the only images that the detector takes; None: any size.

        Raises:
            ValueError: If the head does not fit the maps.
        """
        raise NotImplementedError


class OneStageHead(nn.Module):
    """Base of the heads of one-stage detectors.

    N is the number of locations (anchors, points or queries) of all levels, finest level first. A subclass implements :meth:`forward`,
    :meth:`locations`, :meth:`assignment`, :meth:`scores`, :meth:`boxes`, :meth:`loss` and :meth:`class_layout`.

    Attributes:
        num_outputs: Number of tensors that :meth:`forward` returns.
        num_classes: K; labels are 0 to K - 1.
        postprocess: How scored boxes become detections.
        keeps_score_order_in_bf16: Whether scores of logits rounded to bfloat16 still differ where the logits did, as they do after the sum
            of a softmax.
        progress: Fraction of the training that is done, for losses that change during training.
    """

    num_outputs: ClassVar[int]
    keeps_score_order_in_bf16: ClassVar[bool] = False
    progress: float = 0.0

    def __init__(self, num_classes: int, postprocess: PostprocessConfig) -> None:
        super().__init__()
        self.num_classes, self.postprocess = num_classes, postprocess

    def forward(self, maps: Sequence[Tensor], batch: Batch) -> Outputs:
        """Return ``num_outputs`` float32 tensors of shape ``(B, N, ...)``, the predictions at every location."""
        raise NotImplementedError

    def forward_with_targets(self, maps: Sequence[Tensor], batch: Batch, targets: Sequence[Targets]) -> Outputs:
        """Return the outputs for training: those of :meth:`forward`, then any others that :meth:`loss` needs.

        A head that is shown targets in training, as denoising queries, overrides this method.
        """
        outputs: Outputs = self(maps, batch)
        return outputs

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """Return for each level its anchors ``(N_l, 4)`` or points ``(N_l, 2)``, in pixels of the padded image."""
        raise NotImplementedError

    def assignment(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """Assign targets to locations.

        Returns:
            For each image ``(N,)``: the row of the target that each location is assigned to, or ``BACKGROUND`` or ``IGNORE`` of
            ``detkit.ops.match``.
        """
        raise NotImplementedError

    def scores(self, outputs: Outputs) -> Tensor:
        """Return ``(B, N, K)`` probabilities by which detections are ranked."""
        raise NotImplementedError

    def raw_scores(self, outputs: Outputs) -> Tensor:
        """Return ``(B, N, K)`` probabilities, none of them set to 0 for postprocessing; distillation learns from these."""
        return self.scores(outputs)

    def boxes(self, outputs: Outputs, locations: Tensor, image: int, selection: Selection) -> Tensor:
        """Decode the boxes of the selected entries of one image.

        Args:
            outputs: Outputs of :meth:`forward`.
            locations: Locations of all levels in one tensor.
            image: Index of the image.
            selection: The selected entries.

        Returns:
            ``(n, 4)`` boxes, not clipped.
        """
        raise NotImplementedError

    def boxes_at(self, outputs: Outputs, locations: list[Tensor], image: int, rows: Tensor, labels: Tensor) -> Tensor:
        """Decode the boxes of one image at the locations ``rows``, for the classes ``labels``, both ``(n,)``.

        Returns:
            ``(n, 4)`` boxes, not clipped.
        """
        levels = torch.arange(len(locations), device=rows.device).repeat_interleave(level_lengths(locations))[rows]
        selection = Selection(torch.ones_like(rows, dtype=torch.float32), rows, labels, levels)
        return self.boxes(outputs, torch.cat(locations), image, selection)

    def loss(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Return weighted losses; see :meth:`detkit.models.detector.Detector.loss`."""
        raise NotImplementedError

    def class_layout(self) -> Mapping[str, ClassLayout]:
        """Return the layout of each parameter that is laid out by class, by its name."""
        raise NotImplementedError

    @torch.no_grad()
    def detect(
        self,
        outputs: Outputs,
        locations: list[Tensor],
        batch: Batch,
        unreported: Tensor | None,
        postprocess: PostprocessConfig | None = None,
    ) -> list[Detections]:
        """Return the detections of each image, best first, clipped to the image.

        Args:
            outputs: Outputs of :meth:`forward`.
            locations: Locations as returned by :meth:`locations`.
            batch: The images.
            unreported: ``(K,)`` bool; True for classes that are never reported.
            postprocess: Parameters that replace the head's own.
        """
        selected = self._selected(outputs, locations, batch, unreported, postprocess or self.postprocess)
        return [Detections(boxes, selection.scores, selection.labels) for boxes, selection in selected]

    def _selected(
        self, outputs: Outputs, locations: list[Tensor], batch: Batch, unreported: Tensor | None, postprocess: PostprocessConfig
    ) -> list[tuple[Tensor, Selection]]:
        """Return the boxes of :meth:`detect` and the entries that they come from, for each image."""
        scores, rows, levels = self.scores(outputs), torch.cat(locations), [len(level) for level in locations]
        if unreported is not None:
            scores = scores.masked_fill(unreported, -1.0)
        selected = []
        for image, size in enumerate(batch.sizes):

            def boxes(selection: Selection, image: int = image, size: Size = size) -> Tensor:
                return clip_boxes(self.boxes(outputs, rows, image, selection), size)

            selected.append(postprocess.select(boxes, scores[image], levels))
        return selected

    @torch.no_grad()
    def explain(
        self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Targets, unreported: Tensor | None
    ) -> StageExplanation:
        """Explain the predictions for a batch of one image; queries, which have no coordinates, are shown as their predicted boxes."""
        (assignment,) = self.assignment(outputs, locations, batch, [targets])
        scores = self.scores(outputs)[0]
        location_name = {4: "anchor", 2: "point"}.get(locations[0].shape[1], "query")
        shown = locations
        if location_name == "query":
            rows = torch.arange(len(scores), device=scores.device)
            shown = [self.boxes_at(outputs, locations, 0, rows, scores.argmax(1))]
        rules = self.postprocess
        candidates, kept = (self._selected(outputs, locations, batch, unreported, rule)[0] for rule in (rules.without_nms(), rules))
        before_nms, after_nms = (Detections(boxes, entries.scores, entries.labels) for boxes, entries in (candidates, kept))
        return StageExplanation(
            "head",
            location_name,
            tuple(shown),
            assignment,
            scores.amax(1),
            before_nms,
            after_nms,
            before_rows=candidates[1].rows,
            after_rows=kept[1].rows,
            rules=rules,
        )


def level_lengths(locations: Sequence[Tensor]) -> Tensor:
    """Return the number of locations of each level, ``(L,)`` int64; they remain dynamic while a graph is traced."""
    return torch.stack([torch.as_tensor(level.shape[0]) for level in locations]).to(locations[0].device)
