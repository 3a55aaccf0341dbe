"""Generated clips for judging trackers: labels fit the frames, and simulated detectors have the stated errors."""

from __future__ import annotations

import numpy as np
import pytest

from detkit.data.cutouts import CLASS_NAMES
from detkit.evaluation.tracks import evaluate_sequence
from detkit.evaluation.tracks.clips import Clip, DetectorErrors, make_clip
from detkit.evaluation.tracks.rows import TrackRows

FAULTLESS = DetectorErrors(missed=0, jitter=0, false_alarms=0, confused=0)


@pytest.fixture(scope="module")
def clip() -> Clip:
    return make_clip(3, frames=60)


def test_a_clip_is_reproducible_and_its_objects_hide_one_another(clip: Clip) -> None:
    other = make_clip(3, frames=60)
    np.testing.assert_array_equal(clip.boxes, other.boxes)
    np.testing.assert_array_equal(clip.render(30), other.render(30))
    assert not np.array_equal(clip.boxes, make_clip(4, frames=60).boxes)
    assert clip.boxes.shape == (60, 20, 4)
    hidden = (clip.visible > 0) & (clip.visible < 0.9)
    assert 0.05 < hidden.mean() < 0.6
    steps = np.abs(np.diff(clip.boxes[..., :2], axis=0))
    assert 1 < np.nanmean(steps) < 4
    assert np.nanmax(steps) < 20


def test_labels_fit_the_frames() -> None:
    """The pixels that differ from an empty frame are those in the visible parts of the objects, in front of the background."""
    clip = make_clip(5, objects=1, frames=40)
    for frame in range(0, 40, 8):
        box = clip.boxes[frame, 0]
        if not np.isfinite(box[0]) or clip.visible[frame, 0] < 0.98:
            continue
        empty = Clip((), clip.labels[:0], clip.boxes[:, :0], clip.visible[:, :0], clip.background, clip.foreground).render(frame)
        rows, columns = np.nonzero(np.abs(clip.render(frame).astype(int) - empty).max(2) > 30)
        assert np.abs(np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) - box).max() <= 6
        return
    pytest.fail("the object is hidden in all frames")


def test_a_faultless_detector(clip: Clip) -> None:
    truth, found = clip.truth(), clip.detections(FAULTLESS)
    assert sum(map(len, found)) == len(truth)
    for frame, detections in enumerate(found, 1):
        rows = truth.boxes[truth.frames == frame]
        assert sorted(detections.boxes.tolist()) == sorted(rows.astype(np.float32).tolist())
        assert (np.diff(detections.scores) <= 0).all()
    scores = np.concatenate([row.scores for row in found])
    assert scores.min() < 0.6 < 0.9 < scores.max()


def test_errors_of_a_detector(clip: Clip) -> None:
    count = len(clip.truth())
    missed = sum(map(len, clip.detections(DetectorErrors(0.3, 0, 0, 0), seed=1)))
    assert 0.6 < missed / count < 0.8
    alarms = sum(map(len, clip.detections(DetectorErrors(0, 0, 2, 0)))) - count
    assert 1.5 < alarms / len(clip) < 2.5
    same = clip.detections(FAULTLESS)
    moved = clip.detections(DetectorErrors(0, 0.03, 0, 0))
    assert not np.array_equal(moved[30].boxes, same[30].boxes)
    assert {label for row in same for label in row.labels.tolist()} <= set(range(len(CLASS_NAMES)))


def test_the_labels_themselves_are_perfect_tracks(clip: Clip) -> None:
    truth = clip.truth()
    numbers = evaluate_sequence(truth, TrackRows(truth.frames, truth.ids, truth.boxes, truth.scores, truth.classes)).as_dict()
    assert (numbers["IDF1"], numbers["MOTA"], numbers["HOTA"]) == pytest.approx((1, 1, 1))
