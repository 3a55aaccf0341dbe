"""The settings of NMS; without torch."""

from __future__ import annotations

from typing import Protocol


class NMSRules(Protocol):
    """The part of a stage's postprocessing that turns its candidates before NMS into its detections."""

    @property
    def min_score(self) -> float:
        """Scores must be greater; soft NMS ends where its reduced scores are not."""

    @property
    def nms_iou(self) -> float | None:
        """IoU above which the lower-scoring of two boxes is removed; None: no NMS."""

    @property
    def nms(self) -> str:
        """NMS variant: ``hard``, ``linear`` or ``gaussian``."""

    @property
    def sigma(self) -> float:
        """Width of the Gaussian of ``gaussian`` NMS."""

    @property
    def class_agnostic(self) -> bool:
        """Whether NMS also compares detections of different classes."""

    @property
    def max_detections(self) -> int | None:
        """Maximum number of detections per image; None: no limit."""
