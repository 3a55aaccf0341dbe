"""One stage: maps in, predictions at every place out, and the best of them are the detections."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from detkit.heads.one_stage import OneStageHead, Outputs
from detkit.models.detector import ClassLayout, Detector, Losses, Raw
from detkit.structures import Batch, Detections, Proposals, Size, StageExplanation, Targets


class OneStage(Detector):
    """A neck and a head that sees every place once: RetinaNet, FCOS, SSD, YOLOX and their kin differ in the head.

    Args:
        neck: Makes the maps.
        head: Predicts at every place of the maps, and knows its losses and detections.
        input_size: ``(height, width)`` of the only images it takes; None: any.
    """

    def __init__(self, neck: nn.Module, head: OneStageHead, input_size: Size | None = None) -> None:
        super().__init__(neck, head.num_classes)
        self.head, self.input_size = head, input_size

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None) -> Raw:
        """The head's tensors ``(B, N, ...)``, and behind them the maps ``(B, C, H, W)`` that they were made from, finest first."""
        maps = self.neck(batch.images)
        return (*self.head(maps), *maps)

    def loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """See :meth:`Detector.loss`; the head names the terms."""
        outputs, locations = self.split_outputs(raw, batch)
        return self.head.loss(outputs, locations, batch, targets)

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """See :meth:`Detector.detect`."""
        outputs, locations = self.split_outputs(raw, batch)
        return self.head.detect(outputs, locations, batch, self.unreported)

    def explain(self, raw: Raw, batch: Batch, targets: Targets) -> tuple[StageExplanation, ...]:
        """See :meth:`Detector.explain`."""
        outputs, locations = self.split_outputs(raw, batch)
        return (self.head.explain(outputs, locations, batch, targets, self.unreported),)

    def split_outputs(self, raw: Raw, batch: Batch) -> tuple[Outputs, list[Tensor]]:
        """The head's own tensors out of :meth:`raw`, and the places they speak of."""
        outputs, maps = raw[: self.head.outputs], raw[self.head.outputs :]
        return outputs, self.head.locations([(m.shape[-2], m.shape[-1]) for m in maps], batch)

    def set_progress(self, progress: float) -> None:
        """See :meth:`Detector.advance`."""
        self.head.progress = progress

    def class_layout(self) -> dict[str, ClassLayout]:
        """See :meth:`Detector.class_layout`."""
        return {
            f"head.{name}": ClassLayout(groups, per_class, before, after)
            for name, (groups, per_class, before, after) in self.head.class_layout().items()
        }
