"""Settings of the trackers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from detkit.config import Config


class _TrackerConfig(Config):
    """Settings that all trackers have."""

    min_iou: float
    """Lowest IoU of a detection and the predicted box of a track that may be the same object; usually 0.1 to 0.3."""
    min_new_score: float
    """Lowest score of a detection that starts a track."""
    min_hits: int
    """Number of detections that confirm a track; it gets its id with the last of them."""
    max_lost_seconds: float = Field(1.0, ge=0)
    """Time for which a confirmed track without a detection is kept, so that an object that was hidden keeps its id."""
    frame_rate: float = Field(30.0, gt=0)
    """Frames per second of the motion model: its noise is that of one such frame. Without time stamps, every update is one frame."""
    class_aware: bool = True
    """Match detections to tracks of their own class only; False: to all, and a track has the class with the largest sum of scores."""
    observation_centric: bool = False
    """When a lost object is found again, replay the motion model along the line between both observations (OC-SORT)."""
    smooth_boxes: bool = False
    """Return the boxes of the motion model instead of those of the detections."""
    score_momentum: float = Field(0.0, ge=0, lt=1)
    """Share of the previous score of a track in the score that is returned; 0: the score of the detection."""


class SortConfig(_TrackerConfig):
    """SORT: one matching by IoU, and confirmation by the total number of detections (Bewley et al., 2016)."""

    kind: Literal["sort"] = "sort"
    """Kind of the tracker."""
    min_iou: float = Field(0.3, ge=0, le=1)
    """Lowest IoU of a detection and the predicted box of a track that may be the same object; usually 0.1 to 0.3."""
    min_new_score: float = Field(0.25, ge=0, le=1)
    """Lowest score of a detection that starts a track."""
    min_hits: int = Field(3, ge=1)
    """Number of detections that confirm a track; it gets its id with the last of them."""


class ByteTrackConfig(_TrackerConfig):
    """ByteTrack: detections of low scores are matched to the tracks that those of high scores left over (Zhang et al., 2022)."""

    kind: Literal["bytetrack"] = "bytetrack"
    """Kind of the tracker."""
    min_iou: float = Field(0.1, ge=0, le=1)
    """Lowest IoU of a detection and the predicted box of a track that may be the same object; usually 0.1 to 0.3."""
    high_score: float = Field(0.6, ge=0, le=1)
    """Lowest score of the detections that are matched first."""
    low_score: float = Field(0.1, ge=0, le=1)
    """Lowest score of the detections that are matched second; those below are not used."""
    min_new_score: float = Field(0.7, ge=0, le=1)
    """Lowest score of a detection that starts a track."""
    min_hits: int = Field(2, ge=1)
    """Number of detections in consecutive frames that confirm a track; it gets its id with the last of them."""


TrackerConfig = Annotated[SortConfig | ByteTrackConfig, Field(discriminator="kind")]
"""The settings of a tracker."""

KINDS: dict[str, type[SortConfig] | type[ByteTrackConfig]] = {"sort": SortConfig, "bytetrack": ByteTrackConfig}
"""The trackers by name."""
