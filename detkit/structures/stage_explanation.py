"""Intermediate results of one stage of a detector on one image, for explaining its detections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from detkit.structures.detections import Detections


@dataclass(frozen=True, eq=False)
class StageExplanation:
    """One stage of a detector on one image; boxes and points are in pixels of the model's input.

    Attributes:
        name: Name of the stage, in one word.
        location_name: Name of one location: anchor, point, proposal or query.
        locations: For each level ``(N_l, 4)`` boxes or ``(N_l, 2)`` points at which the stage predicts; N counts those of all levels.
        assignment: ``(N,)`` row of the target that each location would be assigned to in training, or ``BACKGROUND`` or ``IGNORE``
            of ``ops.match``.
        scores: ``(N,)`` highest score of each location.
        before_nms: All candidates before NMS, best first.
        after_nms: Detections that NMS keeps.
        has_classes: Whether labels are classes; otherwise the only label is 0.
        refinement: Where locations are queries: the boxes ``(N, 4)`` that they predict at each step, by the name of the step.
    """

    name: str
    location_name: str
    locations: tuple[Tensor, ...]
    assignment: Tensor
    scores: Tensor
    before_nms: Detections
    after_nms: Detections
    has_classes: bool = True
    refinement: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def location_names(self) -> str:
        """The plural of ``location_name``."""
        return "queries" if self.location_name == "query" else f"{self.location_name}s"
