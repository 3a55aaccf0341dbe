"""The detections of one image or frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detkit.structures import DetectionMethods

ClassNames = Sequence[str | None]


@dataclass(frozen=True, eq=False)
class ImageResult:
    """Detections of one image, or of one frame of a video, camera or stream.

    Attributes:
        source: The file, camera or address, as named in results.
        size: ``(height, width)``.
        detections: The detections, in original pixels, as tensors or arrays.
        frame: Index of the frame in its source; None for an image.
        seconds: Time of the frame in its source.
        address_stem: Beginning of the names of files that are made from what is no file itself; None for a file.
        is_changed: Whether objects in the pixels were blurred.
    """

    source: str
    size: tuple[int, int]
    detections: DetectionMethods
    frame: int | None = None
    seconds: float = 0.0
    address_stem: str | None = None
    is_changed: bool = False

    @property
    def path(self) -> Path | None:
        """The file, if the source is one."""
        return Path(self.source) if self.address_stem is None else None

    @property
    def stem(self) -> str:
        """Beginning of the names of files that are made from the source, without folder and extension."""
        return Path(self.source).stem if self.address_stem is None else self.address_stem

    def rows(self) -> list[tuple[int, float, list[float]]]:
        """Return label, score and ``x1 y1 x2 y2`` of each detection, best first, rounded to significant digits."""
        detections = self.detections
        boxes = [[round(value, 4) for value in box] for box in detections.boxes.tolist()]
        columns = zip(detections.labels.tolist(), detections.scores.tolist(), boxes, strict=True)
        return [(label, round(score, 7), box) for label, score, box in columns]
