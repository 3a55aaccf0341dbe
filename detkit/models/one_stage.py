"""One-stage detectors: a neck and a head that predicts at every location."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from pydantic import model_validator
from torch import Tensor, nn

from detkit.heads.class_layout import ClassLayout
from detkit.heads.one_stage import OneStageHead, OneStageHeadConfig, Outputs
from detkit.models.checks import fixed_input_size
from detkit.models.detector import Detector, DetectorConfig, Losses, Raw
from detkit.structures import Batch, Detections, Proposals, Size, StageExplanation, Targets


class OneStage(Detector):
    """One-stage detector: RetinaNet, FCOS, SSD, YOLOX and others differ in their head.

    Args:
        neck: Computes the feature maps.
        head: Predicts at every location of the maps, and implements losses and detections.
        input_size: ``(height, width)`` of the only images that it takes; None: any size.
    """

    def __init__(self, neck: nn.Module, head: OneStageHead, input_size: Size | None = None) -> None:
        super().__init__(neck, head.num_classes)
        self.head, self.input_size = head, input_size

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None, targets: Sequence[Targets] | None = None) -> Raw:
        """Return the head's tensors ``(B, N, ...)``, followed by the maps ``(B, C, H, W)`` that they come from, finest first.

        A network that is shown ``targets`` adds its other outputs after the maps, with the images as first dimension.
        """
        maps, count = self.neck(batch.images), self.head.num_outputs
        outputs = self.head(maps, batch) if targets is None else self.head.forward_with_targets(maps, batch, targets)
        return (*outputs[:count], *maps, *outputs[count:])

    def loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """See :meth:`Detector.loss`; the head names the terms."""
        outputs, locations = self.split_outputs(raw, batch)
        extra = raw[len(outputs) + len(self.maps(raw)) :]
        return self.head.loss((*outputs, *extra), locations, batch, targets)

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """See :meth:`Detector.detect`."""
        outputs, locations = self.split_outputs(raw, batch)
        return self.head.detect(outputs, locations, batch, self.unreported)

    def explain(self, raw: Raw, batch: Batch, targets: Targets) -> tuple[StageExplanation, ...]:
        """See :meth:`Detector.explain`."""
        outputs, locations = self.split_outputs(raw, batch)
        return (self.head.explain(outputs, locations, batch, targets, self.unreported),)

    def split_outputs(self, raw: Raw, batch: Batch) -> tuple[Outputs, list[Tensor]]:
        """Split off the head's own tensors from :meth:`raw`, and return them with their locations."""
        return raw[: self.head.num_outputs], self.head.locations([(m.shape[-2], m.shape[-1]) for m in self.maps(raw)], batch)

    def maps(self, raw: Raw) -> Raw:
        """Return the maps among the outputs of :meth:`raw`, finest first."""
        strides = cast("tuple[int, ...]", self.neck.strides)
        return raw[self.head.num_outputs :][: len(strides)]

    def set_progress(self, progress: float) -> None:
        """See :meth:`Detector.set_progress`."""
        self.head.progress = progress

    def class_layout(self) -> dict[str, ClassLayout]:
        """See :meth:`Detector.class_layout`."""
        return {f"head.{name}": layout for name, layout in self.head.class_layout().items()}


class OneStageConfig(DetectorConfig):
    """Base of the configs of one-stage detectors; a subclass adds ``kind``, ``neck`` and ``head``."""

    detector: ClassVar[type[OneStage]] = OneStage
    """Class of the detector."""
    has_fixed_size: ClassVar[bool] = False
    """Whether the detector takes images of one size only, that of ``preprocess.input_size``."""

    if TYPE_CHECKING:  # each subclass declares them after its own fields, with their types and defaults
        neck: Any
        head: OneStageHeadConfig

    @model_validator(mode="after")
    def _check_input_size(self) -> Self:
        if self.has_fixed_size:
            fixed_input_size(self.kind, self.preprocess)
        return self

    def build(self, num_classes: int) -> OneStage:
        """Build the detector for ``num_classes`` classes with randomly initialized weights.

        Raises:
            ValueError: If the parts do not fit together.
        """
        size = self.preprocess.input_size if self.has_fixed_size else None
        neck = self.build_neck()
        return self.detector(neck, self.head.build(neck.channels, neck.strides, num_classes, size), size)

    def build_neck(self) -> Any:
        """Build the neck over the backbone."""
        return self.neck.build(self.backbone.replace(levels=self.backbone.levels or self.default_levels()).build())

    def default_levels(self) -> tuple[str, ...] | None:
        """Return the levels of the backbone that are used unless its config names them; None: its own default."""
        return None
