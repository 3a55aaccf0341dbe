"""The tracked objects of one frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from detkit.arrays import Floats, Integers, Size
from detkit.structures.detection import Detection, DetectionArrays
from detkit.structures.masks import Masks


@dataclass(frozen=True, eq=False)
class Tracks:
    """The objects of one frame that belong to a confirmed track, in the order of their detections.

    Iterating yields the id and the :class:`~detkit.structures.detection.Detection` of each.

    Attributes:
        detections: Their boxes, scores and classes.
        ids: ``(N,)`` int64, from 1: an object keeps its id over the frames.
        rows: ``(N,)`` int64 row of each object in the detections that the tracker was given.
        seconds: Time of the frame; None without time stamps.
    """

    detections: DetectionArrays
    ids: Integers
    rows: Integers
    seconds: float | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[int, Detection]]:
        return zip(self.ids.tolist(), self.detections, strict=True)

    @property
    def boxes(self) -> Floats:
        """``(N, 4)`` float32 ``x1 y1 x2 y2`` in pixels."""
        return self.detections.boxes

    @property
    def scores(self) -> Floats:
        """``(N,)`` float32."""
        return self.detections.scores

    @property
    def labels(self) -> Integers:
        """``(N,)`` int64."""
        return self.detections.labels

    @property
    def masks(self) -> Masks | None:
        """The pixels of each object; None for detectors without masks."""
        return self.detections.masks

    def to_dict(self, size: Size | None = None) -> dict[str, Any]:
        """Return the tracks as plain Python data, ready for JSON: those of ``Detections.to_dict``, with ``track``.

        Args:
            size: ``(height, width)`` of the frame, for the masks; None: leave masks out.
        """
        rows = self.detections.to_dict(size)["detections"]
        return {"tracks": [{"track": track, **row} for track, row in zip(self.ids.tolist(), rows, strict=True)]}

    def to_supervision(self, size: Size | None = None) -> Any:
        """Return a ``supervision.Detections`` with ``tracker_id``.

        Args:
            size: ``(height, width)`` of the frame, which masks need.

        Raises:
            ImportError: If supervision is not installed.
            ValueError: If the detections have masks, and no size is given.
        """
        detections = self.detections.to_supervision(size)
        detections.tracker_id = self.ids.astype(int)
        return detections
