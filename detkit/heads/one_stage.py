"""What every head that detects in one stage offers: places to predict at, who answers for which object, losses, detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from detkit.heads.postprocess import PostprocessConfig
from detkit.ops.boxes import clip_boxes
from detkit.ops.select import Selection
from detkit.structures import Batch, Detections, Size, StageExplanation, Targets

Outputs = tuple[Tensor, ...]


class OneStageHead(nn.Module):
    """Base of the heads of one-stage detectors. N counts the places (anchors, points or queries) of all levels, finest first.

    A subclass gives :meth:`forward`, :meth:`locations`, :meth:`assignment`, :meth:`scores`, :meth:`boxes`, :meth:`loss` and
    :meth:`class_layout`.

    Attributes:
        outputs: How many tensors :meth:`forward` gives.
        num_classes: K; labels are 0 to K - 1.
        postprocess: The numbers by which scored boxes become detections.
        keeps_score_order_in_bf16: Whether scores of neighbors stay different although their logits were rounded to bfloat16, as the sum in a
            softmax sees to.
        progress: The share of the training that is over, for losses that change on the way.
    """

    outputs: ClassVar[int]
    keeps_score_order_in_bf16: ClassVar[bool] = False
    progress: float = 0.0

    def __init__(self, num_classes: int, postprocess: PostprocessConfig) -> None:
        super().__init__()
        self.num_classes, self.postprocess = num_classes, postprocess

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """What the networks say about every place: ``outputs`` tensors of shape ``(B, N, ...)``, float32."""
        raise NotImplementedError

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """For each level the anchors ``(N_l, 4)`` or points ``(N_l, 2)`` of its grid, in pixels of the padded image."""
        raise NotImplementedError

    def assignment(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """For each image ``(N,)``: the row of the target that each place answers for, or ``BELOW`` or ``BETWEEN`` of ``ops.match``."""
        raise NotImplementedError

    def scores(self, outputs: Outputs) -> Tensor:
        """``(B, N, K)`` probabilities by which detections are ranked."""
        raise NotImplementedError

    def raw_scores(self, outputs: Outputs) -> Tensor:
        """``(B, N, K)`` probabilities of which none was set to 0 for detections' sake: what a student learns of a teacher."""
        return self.scores(outputs)

    def boxes(self, outputs: Outputs, locations: Tensor, image: int, selection: Selection) -> Tensor:
        """``(n, 4)`` boxes, not clipped, of the chosen entries of an image; ``locations`` are those of all levels in one tensor."""
        raise NotImplementedError

    def boxes_at(self, outputs: Outputs, locations: list[Tensor], image: int, rows: Tensor, labels: Tensor) -> Tensor:
        """``(n, 4)`` boxes, not clipped, of an image at the places ``rows``, for the classes ``labels``, both ``(n,)``."""
        levels = torch.arange(len(locations), device=rows.device).repeat_interleave(level_lengths(locations))[rows]
        selection = Selection(torch.ones_like(rows, dtype=torch.float32), rows, labels, levels)
        return self.boxes(outputs, torch.cat(locations), image, selection)

    def loss(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Weighted losses; see :meth:`detkit.models.detector.Detector.loss`."""
        raise NotImplementedError

    def class_layout(self) -> Mapping[str, tuple[int, int, int, int]]:
        """Each parameter laid out by class: groups, rows a class, rows before the first and behind the last class in a group."""
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
        """The detections of each image, best first, clipped to it.

        Args:
            outputs: Of :meth:`forward`.
            locations: Of :meth:`locations`.
            batch: The images.
            unreported: ``(K,)`` bool; marks classes that are never reported.
            postprocess: Other numbers than the head's own.
        """
        postprocess = postprocess or self.postprocess
        scores, rows, levels = self.scores(outputs), torch.cat(locations), [len(level) for level in locations]
        if unreported is not None:
            scores = scores.masked_fill(unreported, -1.0)
        found = []
        for image, size in enumerate(batch.sizes):

            def boxes(selection: Selection, image: int = image, size: Size = size) -> Tensor:
                return clip_boxes(self.boxes(outputs, rows, image, selection), size)

            chosen_boxes, selection = postprocess.choose(boxes, scores[image], levels)
            found.append(Detections(chosen_boxes, selection.scores, selection.labels))
        return found

    @torch.no_grad()
    def explain(
        self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Targets, unreported: Tensor | None
    ) -> StageExplanation:
        """What this stage did with the one image of a batch; places without numbers are shown as the boxes they predict."""
        (assignment,) = self.assignment(outputs, locations, batch, [targets])
        scores = self.scores(outputs)[0]
        word = {4: "anchor", 2: "point"}.get(locations[0].shape[1], "query")
        shown = locations
        if word == "query":
            rows = torch.arange(len(scores), device=scores.device)
            shown = [self.boxes_at(outputs, locations, 0, rows, scores.argmax(1))]
        (before_nms,) = self.detect(outputs, locations, batch, unreported, self.postprocess.without_nms())
        (after_nms,) = self.detect(outputs, locations, batch, unreported)
        return StageExplanation("head", word, tuple(shown), assignment, scores.amax(1), before_nms, after_nms)


def level_lengths(locations: Sequence[Tensor]) -> Tensor:
    """``(L,)`` int64: how many places each level has; while a graph is traced they stay free."""
    return torch.stack([torch.as_tensor(level.shape[0]) for level in locations]).to(locations[0].device)
