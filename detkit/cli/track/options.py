"""Options of ``detkit track``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detkit.cli.detect.options import DetectorOptions
from detkit.cli.track.marks import Mark

if TYPE_CHECKING:
    from detkit.tracking.counting import Anchor

_OTHER_PACKAGE = "trackers:"
"""Beginning of the names of trackers of the package trackers."""
_BUFFER_RATE = 30
"""Frames per second of ``lost_track_buffer`` in that package."""
_SCORE_MOMENTUM = 0.8
"""Share of the previous score of a track in its score with ``--smooth``."""


@dataclass(frozen=True, kw_only=True)
class TrackOptions(DetectorOptions):
    """Options of ``detkit track``.

    Attributes:
        sources: Videos, folders and patterns of videos or of images, cameras and addresses.
        tracker: Name of the tracker: ``bytetrack``, ``sort``, or one of the package trackers.
        max_lost: Seconds for which an object that is not detected keeps its id; None: the tracker's own.
        class_agnostic: Whether detections of all classes can continue a track.
        observation_centric: Whether the motion model is replayed when a lost object is found again.
        smooth: Whether boxes and scores are smoothed over time.
        set: Further settings of the tracker, ``key=value``.
        every: Process every N-th frame.
        max_latency: Seconds for which a frame of a live source may wait.
        seconds: Seconds after which live sources end; None: when they do.
        frame_rate: Frames per second of images; None: what the folder states, or 25.
        follow: The one object to follow, by its box in the first frame; None: all objects.
        line: Lines over which objects are counted.
        zone: Zones in which objects are counted.
        anchor: Point of a box that is counted, and that draws the trail.
        trail: Seconds of the drawn trails.
        output: Folder of the drawn videos; None: a new one.
        no_draw: Whether to draw nothing.
        json: File of the tracks as JSON.
        csv: File of the tracks as CSV.
        mot: File of the tracks in MOTChallenge's format, or a folder of them.
    """

    sources: tuple[str, ...] = ()
    tracker: str = "bytetrack"
    max_lost: float | None = None
    class_agnostic: bool = False
    observation_centric: bool = False
    smooth: bool = False
    set: tuple[str, ...] | None = None
    every: int = 1
    max_latency: float = 0.5
    seconds: float | None = None
    frame_rate: float | None = None
    follow: Mark | None = None
    line: tuple[Mark, ...] | None = None
    zone: tuple[Mark, ...] | None = None
    anchor: Anchor = "center"
    trail: float = 2.0
    output: str | None = None
    no_draw: bool = False
    json: str | None = None
    csv: str | None = None
    mot: str | None = None


def tracker_settings(options: TrackOptions) -> dict[str, Any]:
    """Return the settings of the tracker that flags name.

    Raises:
        ValueError: If a tracker of another package has no such setting.
    """
    if options.tracker.startswith(_OTHER_PACKAGE):
        for flag in ("class_agnostic", "observation_centric", "smooth"):
            if getattr(options, flag):
                raise ValueError(f"--{flag.replace('_', '-')} is a setting of bytetrack and sort; {options.tracker} has its own, see --set")
        return {} if options.max_lost is None else {"lost_track_buffer": round(options.max_lost * _BUFFER_RATE)}
    given = {
        "max_lost_seconds": options.max_lost,
        "class_aware": False if options.class_agnostic else None,
        "observation_centric": options.observation_centric or None,
        "smooth_boxes": options.smooth or None,
        "score_momentum": _SCORE_MOMENTUM if options.smooth else None,
    }
    return {name: value for name, value in given.items() if value is not None}
