"""Drawing of tracks: colors of ids, trails that fade, lines with arrows, zones, and labels that fit."""

from __future__ import annotations

import numpy as np

from detkit.drawing import TrackDrawer
from detkit.drawing.palette import color_of
from detkit.drawing.tracks import DrawnLine, DrawnZone
from detkit.structures.detection import DetectionArrays

GRAY = np.full((240, 320, 3), 128, np.uint8)


class Rows:
    """Tracks by id."""

    def __init__(self, **boxes: list[float]) -> None:
        self.ids = np.array([int(name.removeprefix("id")) for name in boxes], np.int64)
        self.boxes = np.array(list(boxes.values()), np.float32).reshape(-1, 4)
        self.labels = np.zeros(len(boxes), np.int64)
        self.detections = DetectionArrays(self.boxes, np.ones(len(boxes), np.float32), self.labels)
        self.masks = None


def has(image: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return np.asarray((image == color).all(-1))


def test_the_color_is_that_of_the_id_wherever_the_track_is() -> None:
    drawer = TrackDrawer(["cat"], trail_seconds=0)
    for boxes in ({"id3": [40, 60, 90, 120]}, {"id1": [40, 60, 90, 120], "id3": [200, 60, 260, 120]}):
        drawn = drawer.draw(GRAY, Rows(**boxes), 0.0)
        x1, _, x2, _ = boxes["id3"]
        columns = np.flatnonzero(has(drawn, color_of(2)).any(0))
        assert columns.min() >= x1 - 1
        assert columns.max() <= max(x2, x1 + 60)
    assert (GRAY == 128).all()


def test_a_trail_follows_the_anchor_and_fades() -> None:
    drawer = TrackDrawer(["cat"], trail_seconds=1.0, anchor=(0.5, 1.0))
    for frame in range(10):
        drawn = drawer.draw(GRAY, Rows(id1=[20 * frame, 60, 20 * frame + 20, 100]), frame / 10)
    trail = has(drawn, color_of(0))[96:105, :180]
    assert trail[:, 20:170].any(0).all()  # the bottom of the boxes
    widths = trail.sum(0)
    assert widths[20:40].mean() < widths[130:160].mean()
    for frame in range(10, 22):
        drawn = drawer.draw(GRAY, Rows(), frame / 10)
    assert not has(drawn, color_of(0)).any()


def test_a_trail_is_interrupted_where_the_object_was_not_seen() -> None:
    drawer = TrackDrawer(["cat"], trail_seconds=10.0)
    drawer.draw(GRAY, Rows(id1=[0, 60, 20, 100]), 0.0)
    drawn = drawer.draw(GRAY, Rows(id1=[280, 60, 300, 100]), 2.0)
    assert not has(drawn, color_of(0))[:, 40:270].any()


def test_labels_are_shortened_where_the_box_is_small() -> None:
    drawer = TrackDrawer(["an object with a long name"], trail_seconds=0)
    small, large = (has(drawer.draw(GRAY, Rows(id1=[20, 60, 20 + width, 200]), 0.0), color_of(0))[:56].any(0).sum() for width in (20, 280))
    assert 0 < small < 40 < large


def test_lines_have_an_arrow_in_direction_in_and_zones_are_seen_through() -> None:
    drawer = TrackDrawer(["cat"])
    lines, zones = [DrawnLine((20, 50), (300, 50))], [DrawnZone(((50, 150), (150, 150), (150, 220), (50, 220)), "yard")]
    drawn = drawer.draw(GRAY, Rows(), 0.0, lines=lines, zones=zones)
    white = has(drawn, (255, 255, 255))
    assert white[50, 20:300].all()
    assert white[55:80, 150:170].any()  # the arrow points down: from left to right for who looks along the line
    assert not white[20:45, 155:165].any()
    assert 128 < drawn[200, 100, 0] < 200
    assert (drawn[230:, 200:] == 128).all()


def test_a_predicted_box_is_dashed_and_sizes_are_those_of_the_scale() -> None:
    drawer = TrackDrawer(["cat"], trail_seconds=0)
    drawn = drawer.draw(GRAY, Rows(), 0.0, predicted=(100, 60, 200, 160), scale=2)
    assert drawn.shape == (480, 640, 3)
    side = has(drawn, color_of(0))[120, 200:400]
    assert 0.2 < side.mean() < 0.8
