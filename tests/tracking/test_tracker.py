"""Ids of tracked objects: confirmation, hidden objects, classes, time stamps, and bad input."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from moving_boxes import rows, scene

from detkit import Detections
from detkit.config import ConfigError
from detkit.tracking import ByteTrackConfig, Counting, Follower, Line, SortConfig, Tracker, Zone, matching
from detkit.tracking.matching import Labels, match_boxes


def moving(frame: float, speed: float = 4.0, start: float = 10.0) -> list[float]:
    """Return the box of an object that moves to the right."""
    return [start + speed * frame, 20, start + 30 + speed * frame, 60]


def test_an_object_gets_its_id_when_it_is_confirmed() -> None:
    for name, first in (("sort", 2), ("bytetrack", 1)):
        tracker = Tracker(name)
        ids = [tracker.update(rows([moving(frame)])).ids.tolist() for frame in range(5)]
        assert ids == [[]] * first + [[1]] * (5 - first)


def test_a_single_hit_confirms_at_once() -> None:
    assert Tracker("sort", min_hits=1).update(rows([moving(0)])).ids.tolist() == [1]


@pytest.mark.parametrize("name", ["sort", "bytetrack"])
def test_a_hidden_object_keeps_its_id_for_a_time(name: str) -> None:
    tracker = Tracker(name, max_lost_seconds=0.5)
    for frame in range(5):
        tracker.update(rows([moving(frame)]))
    for _ in range(10):
        assert len(tracker.update(rows([]))) == 0
    assert tracker.update(rows([moving(15)])).ids.tolist() == [1]
    for _ in range(17):
        tracker.update(rows([]))
    ids = [tracker.update(rows([moving(33 + frame)])).ids.tolist() for frame in range(4)]
    assert ids[-1] == [2]


def test_low_scores_continue_a_track_and_start_none() -> None:
    tracker = Tracker("bytetrack")
    scores = [0.9, 0.9, 0.2, 0.15, 0.2, 0.9]
    ids = [tracker.update(rows([moving(frame)], np.array([score]))).ids.tolist() for frame, score in enumerate(scores)]
    assert ids == [[], [1], [1], [1], [1], [1]]
    assert [len(tracker.update(rows([moving(0, start=300)], np.array([0.5])))) for _ in range(5)] == [0] * 5


def test_crossing_objects_keep_their_ids() -> None:
    tracker, seen = Tracker("sort"), []
    for frame in range(40):
        right, left = 5 * frame, 200 - 5 * frame
        seen.append(tracker.update(rows([[right, 0, right + 30, 40], [left, 25, left + 30, 65]])).ids.tolist())
    assert seen[3:] == [[1, 2]] * 37


def test_classes_are_matched_apart_or_voted() -> None:
    labels = [0, 0, 0, 1, 0, 0]
    apart, voted = Tracker("sort"), Tracker("sort", class_aware=False)
    found = []
    for frame, label in enumerate(labels):
        detections = rows([moving(frame)], labels=np.array([label]))
        apart_tracks, voted_tracks = apart.update(detections), voted.update(detections)
        found.append((apart_tracks.ids.tolist(), voted_tracks.ids.tolist(), voted_tracks.labels.tolist()))
    assert found[3] == ([], [1], [0])
    assert found[4] == ([1], [1], [0])


def test_tracks_are_rows_of_the_detections() -> None:
    tracker = Tracker("sort", min_hits=1)
    boxes = np.array([moving(0), moving(0, start=200), moving(0, start=400)])
    tracks = tracker.update(rows(boxes, np.array([0.9, 0.1, 0.8])))
    assert (tracks.ids.tolist(), tracks.rows.tolist()) == ([1, 2], [0, 2])
    np.testing.assert_allclose(tracks.boxes, boxes[[0, 2]])
    assert [track for track, _ in tracks] == [1, 2]
    assert tracks.to_dict()["tracks"][1]["track"] == 2


def test_tensors_with_class_names() -> None:
    boxes, scores, labels = torch.tensor([moving(0)]), torch.tensor([0.9]), torch.tensor([1])
    tracks = Tracker("sort", min_hits=1).update(Detections(boxes, scores, labels, ("cat", "dog")))
    assert next(iter(tracks))[1].class_name == "dog"
    assert tracks.to_supervision().tracker_id.tolist() == [1]


def test_time_stamps_and_missing_frames() -> None:
    tracker = Tracker("bytetrack", observation_centric=True)
    frames = [0, 1, 2, 3, 4, 9, 10, 11, 17, 18]
    ids = [tracker.update(rows([moving(frame, speed=8)]), seconds=100 + frame / 30).ids.tolist() for frame in frames]
    assert ids[1:] == [[1]] * 9


def test_a_long_gap_of_time_ends_all_tracks() -> None:
    tracker = Tracker("bytetrack")
    for frame in range(3):
        tracker.update(rows([moving(0)]), seconds=frame / 30)
    assert len(tracker.update(rows([moving(0)]), seconds=60.0)) == 0
    assert tracker.update(rows([moving(0)]), seconds=60.03).ids.tolist() == [2]


def test_observation_centric_updates_follow_a_turn() -> None:
    """An object turns while it is hidden: along the line between both observations its speed is right, by the old speed it is not."""

    def run(observation_centric: bool) -> float:
        tracker = Tracker("sort", observation_centric=observation_centric, min_iou=0.05, min_hits=1)
        for frame in range(20):
            tracker.update(rows([moving(frame, speed=3)]))
        for _ in range(6):
            tracker.update(rows([]))
        turned = moving(19, speed=3)
        found = tracker.update(rows([turned]))
        assert found.ids.tolist() == [1]
        return abs(float(tracker._table.motion.velocities[0, 0]))

    assert run(True) < 0.5 * run(False)


def test_smoothing() -> None:
    random = np.random.default_rng(0)
    noisy = [np.array([moving(frame)]) + random.normal(0, 3, (1, 4)) for frame in range(60)]
    tracker = Tracker("sort", smooth_boxes=True, score_momentum=0.9)
    errors, plain, scores = [], [], []
    for frame, boxes in enumerate(noisy):
        tracks = tracker.update(rows(boxes, random.uniform(0.4, 1, 1)))
        if frame > 20:
            errors.append(np.abs(tracks.boxes - [moving(frame)]).mean())
            plain.append(np.abs(boxes - [moving(frame)]).mean())
            scores.append(float(tracks.scores[0]))
    assert np.mean(errors) < 0.9 * np.mean(plain)
    assert np.std(scores) < 0.08


def test_no_detections_at_all() -> None:
    tracker = Tracker()
    for _ in range(3):
        tracks = tracker.update(rows([]))
        assert len(tracks) == 0
        assert tracks.boxes.shape == (0, 4)


def test_input_is_not_changed() -> None:
    tracker = Tracker(smooth_boxes=True)
    for detections in scene(0, frames=40):
        copies = [array.copy() for array in (detections.boxes, detections.scores, detections.labels)]
        tracker.update(detections)
        for array, copy in zip((detections.boxes, detections.scores, detections.labels), copies, strict=True):
            np.testing.assert_array_equal(array, copy)


def test_reset_starts_again() -> None:
    tracker = Tracker("sort", min_hits=1)
    tracker.update(rows([moving(0)]), seconds=5)
    tracker.reset()
    assert tracker.update(rows([moving(0)]), seconds=1).ids.tolist() == [1]


def test_memory_stays_flat() -> None:
    tracker = Tracker("bytetrack")
    peaks = []
    tracemalloc.start()
    for _ in range(3):
        for detections in scene(1, frames=60, objects=8):
            tracker.update(detections)
        peaks.append(tracemalloc.get_traced_memory()[0])
        assert len(tracker._table) < 40
    tracemalloc.stop()
    assert peaks[2] < peaks[0] + 50_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sorted",), "unknown tracker 'sorted'"),
        (("sort", "min_iuo"), "min_iuo"),
    ],
)
def test_bad_settings(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises((ValueError, ConfigError), match=message):
        Tracker(arguments[0], **dict.fromkeys(arguments[1:], 0.5))


@pytest.mark.parametrize(
    ("boxes", "scores", "labels", "message"),
    [
        ([[0, 0, 5, 5], [0, 0, np.nan, 5]], [0.9, 0.9], [0, 0], "in row 1: expected finite numbers x1 y1 x2 y2"),
        ([[5, 0, 0, 5]], [0.9], [0], "x2 >= x1"),
        ([[0, 0, 5, 5]], [np.nan], [0], "score nan in row 0: expected a number from 0 to 1"),
        ([[0, 0, 5, 5]], [1.5], [0], "score 1.5"),
        ([[0, 0, 5, 5]], [0.9], [-1], "label -1 in row 0"),
        ([[0, 0, 5, 5]], [0.9], [10**9], "from 0 to 65535"),
        ([[0, 0, 5, 5]], [0.9, 0.8], [0], "1 boxes, 2 scores and 1 labels"),
    ],
)
def test_bad_detections_change_nothing(boxes: list[list[float]], scores: list[float], labels: list[int], message: str) -> None:
    tracker = Tracker("sort", min_hits=1)
    tracker.update(rows([moving(0)]), seconds=1.0)
    bad = SimpleNamespace(boxes=np.array(boxes), scores=np.array(scores), labels=np.array(labels), class_names=None)
    with pytest.raises(ValueError, match=message):
        tracker.update(bad, seconds=9.0)
    assert tracker.update(rows([moving(1)]), seconds=1 + 1 / 30).ids.tolist() == [1]


def test_bad_times() -> None:
    tracker = Tracker()
    tracker.update(rows([]), seconds=2.0)
    for seconds, message in ((1.0, "not before 2.0"), (np.nan, "finite"), (None, "expected seconds for all frames")):
        with pytest.raises(ValueError, match=message):
            tracker.update(rows([]), seconds=seconds)
    without = Tracker()
    without.update(rows([]))
    with pytest.raises(ValueError, match="this frame has a time, and earlier ones had none"):
        without.update(rows([]), seconds=1.0)


@pytest.mark.parametrize("observation_centric", [False, True])
def test_equal_and_negative_times(observation_centric: bool) -> None:
    tracker = Tracker("bytetrack", observation_centric=observation_centric)
    frames = [0, 1, 2, 2, 2, 3, 4, 4, 7]
    ids = [tracker.update(rows([moving(frame)]), seconds=-1 + frame / 30).ids.tolist() for frame in frames]
    assert ids[1:] == [[1]] * 8
    for _ in range(3):
        tracker.update(rows([]), seconds=-1 + 7 / 30)
    assert tracker.update(rows([moving(8)]), seconds=-1 + 8 / 30).ids.tolist() == [1]
    assert np.isfinite(tracker._table.values).all()


def test_boxes_without_area_and_classes_without_names() -> None:
    tracker = Tracker("sort", min_hits=1)
    for _ in range(3):
        tracks = tracker.update(rows([moving(0), [50, 50, 50, 50], [70, 50, 90, 50]], labels=np.array([900, 0, 0])))
        assert tracks.ids[0] == 1
        assert tracks.labels.tolist() == [900, 0, 0]
    assert len(tracker._table) <= 7


def test_groups_of_boxes_are_matched_as_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 600, (250, 2))
    first = np.concatenate([corners, corners + random.uniform(20, 80, (250, 2))], axis=1)
    second = (first + random.normal(0, 4, first.shape))[random.permutation(250)[:200]]
    labels = Labels(random.integers(0, 3, 250).astype(float), random.integers(0, 3, 200))
    for classes in (None, labels):
        expected = match_boxes(first, second, classes, 0.2)
        assert len(expected.tracks) > 50
        with monkeypatch.context() as patch:
            patch.setattr(matching, "_MOST_PAIRS", 0)
            patch.setattr(matching, "_CHUNK", 3000)
            found = match_boxes(first, second, classes, 0.2)
            assert len(match_boxes(first, second + 5000, classes, 0.2).tracks) == 0
        np.testing.assert_array_equal(found.tracks, expected.tracks)
        np.testing.assert_array_equal(found.detections, expected.detections)


def test_thousands_of_detections_take_little_memory() -> None:
    grid = np.stack(np.meshgrid(np.arange(60), np.arange(50)), axis=-1).reshape(-1, 2) * 30.0
    tracker = Tracker("sort", min_hits=1)
    tracker.update(rows(np.concatenate([grid, grid + 25], axis=1)))
    tracemalloc.start()
    tracks = tracker.update(rows(np.concatenate([grid + 2, grid + 27], axis=1)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert tracks.ids.tolist() == list(range(1, 3001))
    assert peak < 50_000_000


@pytest.mark.slow
def test_memory_of_ten_thousand_frames() -> None:
    """Tracks, counts, and what follows one object; new objects come all the time."""
    tracker, follower = Tracker("bytetrack", observation_centric=True), Follower(moving(0), max_lost_seconds=1e9)
    counting = Counting([Line((0, 200), (400, 200))], [Zone(((100, 100), (300, 100), (200, 300)))])
    sizes = []
    frames = [list(scene(seed, frames=100, objects=6)) for seed in range(10)]
    for number in range(10_000):
        if number == 5000:
            tracemalloc.start()  # it makes each frame four times as slow, and growth shows in the second half
        detections = frames[number // 100 % 10][number % 100]
        counting.update(tracker.update(detections, number / 30))
        follower.update(detections, number / 30)
        if number in (6000, 8000, 9999):
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert tracker._next_id > 300
    assert max(sizes[1:]) - sizes[0] < 50_000
    assert len(counting.lines[0]._memory) < 1500


def test_settings_round_trip() -> None:
    for config in (SortConfig(min_iou=0.2), ByteTrackConfig(high_score=0.5)):
        assert type(config).from_json(config.to_json()) == config
        assert Tracker(config, min_hits=4).config.min_hits == 4
