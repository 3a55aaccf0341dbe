"""Tracks of SORT and ByteTrack against the package trackers: the same partition of boxes into tracks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from moving_boxes import scene

from detkit.tracking import Tracker

trackers = pytest.importorskip("trackers")
supervision = pytest.importorskip("supervision")
OURS: dict[str, dict[str, Any]] = {"sort": {}, "bytetrack": {"low_score": 0.0}}
THEIRS = {"sort": "SORTTracker", "bytetrack": "ByteTrackTracker"}


def their_ids(tracker: Any, boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the id of each box; 0 for none."""
    detections = supervision.Detections(boxes.astype(float), None, scores.astype(float), np.zeros(len(boxes), int))
    detections.data["row"] = np.arange(len(boxes))
    result = tracker.update(detections)
    ids = np.zeros(len(boxes), np.int64)
    if len(result):
        ids[result.data["row"]] = np.asarray(result.tracker_id) + 1
    return ids


@pytest.mark.oracle("trackers", "tracks of SORT and ByteTrack", tolerance="same partition into tracks")
@pytest.mark.parametrize("name", ["sort", "bytetrack"])
@pytest.mark.parametrize("missed", [0.0, 0.2, 0.5])
def test_same_partition(name: str, missed: float) -> None:
    for seed in range(3):
        theirs, ours = getattr(trackers, THEIRS[name])(), Tracker(name, class_aware=False, **OURS[name])
        pairs = set()
        boxes = 0
        for detections in scene(seed, frames=80, missed=missed):
            tracks, ids = ours.update(detections), np.zeros(len(detections), np.int64)
            ids[tracks.rows] = tracks.ids
            pairs |= set(zip(ids.tolist(), their_ids(theirs, detections.boxes, detections.scores).tolist(), strict=True))
            boxes += len(detections)
        tracked = {pair for pair in pairs if any(pair)}
        assert len({ours for ours, _ in tracked}) == len({theirs for _, theirs in tracked}) == len(tracked), "a track is divided or joined"
        assert len(tracked) > 5
        assert boxes > 200
