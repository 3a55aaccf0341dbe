"""Tracking on videos: scores that follow from those of the detector, scales of classes, and one tracker per source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bright import NAMES, predictor
from moving_boxes import rows
from videos import film

import detkit
from detkit.checkpoint.operating_points import OperatingPoint, OperatingPoints
from detkit.data.media.video import Video
from detkit.inference import track_streams, track_video
from detkit.inference.min_scores import MinScores
from detkit.inference.track_scores import TrackScores
from detkit.inference.tracks import TrackingSetup
from detkit.tracking import Tracker, Tracks


def points(overall: float, **classes: float) -> OperatingPoints:
    made = {name: OperatingPoint(name, score, 0.9, 0.9, 0.9) for name, score in classes.items()}
    return OperatingPoints("best F1", "data", 10, OperatingPoint("all", overall, 0.9, 0.9, 0.9), made)


def test_frames_come_with_ids(tmp_path: Path) -> None:
    pairs = list(detkit.track_video(predictor(60, min_score=0.4), film(tmp_path / "a.mp4", frames=6)))
    assert [frame.index for frame, _ in pairs] == [0, 1, 2, 3, 4, 5]
    assert [tracks.ids.tolist() for _, tracks in pairs] == [[], *[[1, 2]] * 5]
    tracks = pairs[1][1]
    assert [detection.class_name for _, detection in tracks] == ["red", "green"]
    assert tracks.seconds == pytest.approx(0.1)


def test_weak_detections_continue_a_track_but_start_none(tmp_path: Path) -> None:
    """The green object scores 0.6: below the score from which a track starts, above that from which it continues one."""
    found = {
        score: {track for _, tracks in track_video(predictor(60, min_score=score), film(tmp_path / "a.mp4")) for track in tracks.ids}
        for score in (0.45, 0.55)
    }
    assert found == {0.45: {1, 2}, 0.55: {1}}
    setup = TrackingSetup.of(MinScores(0.8, NAMES))
    assert (setup.settings["min_new_score"], setup.lowest) == (pytest.approx(0.9), 0.4)
    tracker = setup.build()
    scores = [0.95, 0.95, 0.5, 0.5, 0.3, 0.95]
    ids = [
        tracker.update(rows([[frame, 0, frame + 30, 40]], np.array([score])), frame / 30).ids.tolist() for frame, score in enumerate(scores)
    ]
    assert ids == [[], [1], [1], [1], [], [1]]


def test_the_detector_reports_what_the_tracker_uses() -> None:
    detector = predictor(60, min_score=0.8)
    assert TrackingSetup.of(detector.min_scores).predictor(detector).min_score == pytest.approx(0.4)
    assert detector.min_score == 0.8
    assert TrackingSetup.of(detector.min_scores, "sort").predictor(detector).min_score == pytest.approx(0.8)
    assert TrackingSetup.of(detector.min_scores, low_score=0.1).predictor(detector).min_score == pytest.approx(0.1)


def test_a_detector_without_a_lowest_score_leaves_the_scores_of_the_tracker() -> None:
    setup = TrackingSetup.of(MinScores(0.0, NAMES))
    assert setup.settings == Tracker("bytetrack").config.model_dump(mode="json", exclude={"kind"})
    detector = predictor(60)
    assert setup.predictor(detector) is detector


def test_scores_of_classes_are_scaled_to_one_operating_point() -> None:
    scores = TrackScores.of(MinScores(points(0.4, red=0.2, green=0.6), NAMES))
    assert scores is not None
    found = rows([[0, 0, 9, 9]] * 6, np.array([0.2, 0.1, 0.6, 0.6, 0.8, 1.0]), np.array([0, 0, 0, 1, 1, 1]))
    common = scores.common(found).scores
    np.testing.assert_allclose(common, [0.4, 0.2, 0.7, 0.4, 0.7, 1.0], atol=1e-6)
    np.testing.assert_allclose(scores.own(common, found.labels), found.scores, atol=1e-6)
    assert scores.lowest(0.2) == pytest.approx(0.1)  # of red, whose scores are the lowest


def test_a_class_with_low_scores_is_tracked_and_keeps_its_scores() -> None:
    setup = TrackingSetup.of(MinScores(points(0.5, red=0.1, green=0.5), NAMES))
    tracker = setup.build()
    for frame in range(3):
        found = rows([[frame, 0, 30 + frame, 40], [200, 200, 250, 250]], np.array([0.4, 0.4]), np.array([0, 1]))
        tracks = tracker.update(found, frame / 30)
    assert tracks.rows.tolist() == [0]
    np.testing.assert_allclose(tracks.scores, [0.4], atol=1e-6)


def test_rows_are_those_of_the_detections_that_were_given() -> None:
    tracker = TrackingSetup.of(MinScores(0.5, NAMES)).build()
    boxes = [[100, 100, 130, 130], [0, 0, 30, 30]]
    for _ in range(2):
        tracks = tracker.update(rows(boxes, np.array([0.1, 0.9])))
    assert (tracks.ids.tolist(), tracks.rows.tolist(), tracks.boxes.tolist()) == ([1], [1], [boxes[1]])


def test_each_source_has_ids_of_its_own_and_errors_are_results(tmp_path: Path) -> None:
    films = [Video(film(tmp_path / name, frames=4)) for name in ("a.mp4", "b.mp4")]
    (tmp_path / "b.mp4").write_bytes(b"")
    results = list(track_streams(predictor(60, min_score=0.4), films))
    last = [result for result in results if result.source is films[0]][-1]
    assert last.tracks is not None
    assert last.tracks.ids.tolist() == [1, 2]
    (error,) = [result for result in results if result.source is films[1]]
    assert isinstance(error.error, ValueError)


def test_a_tracker_of_the_user_gets_what_is_reported(tmp_path: Path) -> None:
    class First:
        def update(self, detections: detkit.Detections, seconds: float | None = None) -> Tracks:
            arrays = detections.numpy()[:1]
            return Tracks(arrays, np.array([7]), np.zeros(1, np.int64), seconds)

    path = film(tmp_path / "a.mp4", frames=3)
    assert [tracks.ids.tolist() for _, tracks in track_video(predictor(60), path, First())] == [[7]] * 3
    with pytest.raises(ValueError, match="min_iou: settings belong to a tracker given by name"):
        next(iter(track_video(predictor(60), path, First(), min_iou=0.2)))
    with pytest.raises(ValueError, match="unknown tracker 'bytetrak': did you mean 'bytetrack'"):
        next(iter(track_video(predictor(60), path, "bytetrak")))


def test_trackers_of_another_package_get_scores_of_their_scale() -> None:
    """Their published scores begin at .6 and .1: detections of .25 and .1 would start and continue nothing."""
    pytest.importorskip("trackers")
    setup = TrackingSetup.of(MinScores(0.2, NAMES), "trackers:bytetrack", ["lost_track_buffer=10"])
    assert setup.settings == {"lost_track_buffer": 10}
    assert setup.predictor(predictor(60, min_score=0.2)).min_score == pytest.approx(0.1 / 3)
    tracker = setup.build()
    scores = [0.5, 0.5, 0.1, 0.1, 0.5]
    found = [tracker.update(rows([[frame, 0, 30 + frame, 40]], np.array([score])), frame / 30) for frame, score in enumerate(scores)]
    assert found[-1].ids.tolist() == found[-2].ids.tolist() != []
    np.testing.assert_allclose(found[-1].scores, [0.5], atol=1e-6)
