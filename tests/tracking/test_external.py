"""The bridge to trackers of other packages: ids, rows, votes, and errors."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from moving_boxes import rows

from detkit.tracking import ExternalTracker
from detkit.tracking.external import external_names

supervision = pytest.importorskip("supervision")


class ByPosition:
    """Gives each detection its tenth of the image as its id, those on the left none; returns them in reverse."""

    def update(self, detections: Any) -> Any:
        result = detections[np.arange(len(detections))[::-1]]
        result.tracker_id = (result.xyxy[:, 0] // 10).astype(int) - 1
        return result


def test_ids_rows_and_votes_of_any_tracker() -> None:
    tracker = ExternalTracker(ByPosition())
    boxes = np.array([[25, 0, 40, 9], [5, 0, 20, 9], [10, 0, 20, 9]])
    for labels, voted in (([1, 0, 2], [1, 2]), ([1, 0, 2], [1, 2]), ([3, 0, 2], [1, 2])):
        tracks = tracker.update(rows(boxes, np.array([0.5, 0.9, 0.7]), np.array(labels)))
        assert (tracks.ids.tolist(), tracks.rows.tolist(), tracks.labels.tolist()) == ([2, 1], [0, 2], voted)
    np.testing.assert_allclose(tracks.scores, [0.5, 0.7])
    assert tracks.to_supervision().tracker_id.tolist() == [2, 1]
    assert len(tracker.update(rows([]))) == 0


def test_trackers_by_name() -> None:
    pytest.importorskip("trackers")
    names = external_names()
    assert {"trackers:botsort", "trackers:ocsort", "trackers:bytetrack"} <= set(names)
    image = np.random.default_rng(0).integers(0, 255, (200, 400, 3)).astype(np.uint8)
    starts, speeds = np.array([0, 100, 200, 300]), np.array([3, -2, 1, 2])
    frames = [rows([[x, 50, x + 40, 120] for x in starts + number * speeds]) for number in range(30)]
    for name in names:
        tracker = ExternalTracker(name, frame_rate=25.0)
        for _ in range(2):
            tracks = [tracker.update(detections, number / 25, image) for number, detections in enumerate(frames)]
            ids, counts = np.unique(np.concatenate([row.ids for row in tracks]), return_counts=True)
            assert (ids.tolist(), counts.min() > 20) == ([1, 2, 3, 4], True), name
            for row, detections in zip(tracks, frames, strict=True):
                np.testing.assert_array_equal(row.boxes, detections.boxes[row.rows])
            tracker.reset()


def test_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackers")
    with pytest.raises(ValueError, match="unknown tracker 'trackers:botsrt': did you mean 'trackers:botsort'"):
        ExternalTracker("trackers:botsrt")
    with pytest.raises(ValueError, match="has no setting 'lost_track_bufer'.*lost_track_buffer"):
        ExternalTracker("trackers:sort", lost_track_bufer=3)
    tracker = ExternalTracker("trackers:sort")
    tracker.update(rows([]), seconds=2.0)
    with pytest.raises(ValueError, match="not before 2.0"):
        tracker.update(rows([]), seconds=1.0)
    monkeypatch.setitem(sys.modules, "trackers", None)
    with pytest.raises(ImportError, match="pip install trackers"):
        ExternalTracker("trackers:sort")
