"""Tracking of objects over the frames of a video by their boxes: SORT, ByteTrack, and observation-centric updates. Runs on numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.tracking.config import ByteTrackConfig, SortConfig, TrackerConfig
    from detkit.tracking.counting import Counting, Line, Zone
    from detkit.tracking.external import ExternalTracker
    from detkit.tracking.follow import Followed, Follower
    from detkit.tracking.tracker import Tracker
    from detkit.tracking.tracks import Tracks

_HOMES = {
    ".config": ("ByteTrackConfig", "SortConfig", "TrackerConfig"),
    ".counting": ("Counting", "Line", "Zone"),
    ".external": ("ExternalTracker",),
    ".follow": ("Followed", "Follower"),
    ".tracker": ("Tracker",),
    ".tracks": ("Tracks",),
}

__all__ = [
    "ByteTrackConfig",
    "Counting",
    "ExternalTracker",
    "Followed",
    "Follower",
    "Line",
    "SortConfig",
    "Tracker",
    "TrackerConfig",
    "Tracks",
    "Zone",
]

__getattr__ = lazy_getattr(__name__, _HOMES)
