"""Intermediate results of one stage of a detector on one image, for explaining its detections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from detkit.structures.detections import Detections
from detkit.structures.nms_rules import NMSRules


def _no_rows() -> Tensor:
    return torch.zeros(0, dtype=torch.int64)


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
        before_rows: ``(n,)`` location, of all levels in order, that each of ``before_nms`` comes from.
        after_rows: The same for ``after_nms``.
        rules: How ``before_nms`` becomes ``after_nms``; None for a stage that has other rules, such as NMS per level.
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
    before_rows: Tensor = field(default_factory=_no_rows)
    after_rows: Tensor = field(default_factory=_no_rows)
    rules: NMSRules | None = None

    @property
    def location_names(self) -> str:
        """The plural of ``location_name``."""
        return "queries" if self.location_name == "query" else f"{self.location_name}s"
