"""Following one object: gaps, neighbors, classes, turns behind obstacles, and the end."""

from __future__ import annotations

import numpy as np
import pytest
from moving_boxes import rows

from detkit.tracking import Followed, Follower


def box(x: float, y: float = 50.0, side: float = 40.0) -> list[float]:
    """Return a square box by its center."""
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def center(followed: Followed | None) -> float:
    assert followed is not None
    return (followed.box[0] + followed.box[2]) / 2


def test_the_place_is_predicted_while_there_is_no_detection() -> None:
    follower = Follower(box(100))
    assert follower.update(rows([])) == Followed((80, 30, 120, 70), None, None, None, None, 0.0, None)
    for frame in range(1, 20):
        followed = follower.update(rows([box(100 + 4 * frame, 300), box(100 + 4 * frame)], labels=np.array([0, 3])))
        assert followed is not None
        assert (followed.row, followed.label, followed.detected, followed.lost_seconds) == (1, 3, True, 0)
    for frame in range(20, 40):
        followed = follower.update(rows([]))
        assert abs(center(followed) - (100 + 4 * frame)) < 6
        assert followed is not None
        assert (followed.detected, followed.label) == (False, 3)
    assert followed.lost_seconds == pytest.approx(20 / 30)
    again = follower.update(rows([box(100 + 4 * 40)], labels=np.array([3])))
    assert again is not None
    assert again.detected


def test_neighbors_are_not_mistaken_for_a_hidden_object() -> None:
    """Another object of its class stands where the followed one disappears, and others pass."""
    follower = Follower(box(100))
    for frame in range(60):
        others = [box(220), box(400 - 5 * frame, 60)]
        own = [box(100 + 4 * frame)] if not 20 <= frame < 45 else []
        followed = follower.update(rows([*others, *own]))
        assert followed is not None
        assert followed.row == (2 if own else None), frame


def test_found_again_away_from_its_predicted_place() -> None:
    """It stops while it is hidden; after a short time, the same place is too far away."""
    for hidden, x, is_found in ((30, 176, True), (30, 560, False), (2, 240, False)):
        follower = Follower(box(100))
        for frame in range(20):
            follower.update(rows([box(100 + 4 * frame)]))
        for _ in range(hidden):
            follower.update(rows([]))
        followed = follower.update(rows([box(x)]))
        assert followed is not None
        assert followed.detected == is_found, (hidden, x)


def test_the_class_sticks_and_weak_or_large_detections_do_not_count() -> None:
    for label, score, side, is_found in ((1, 0.9, 40, True), (0, 0.9, 40, False), (1, 0.1, 40, False), (1, 0.9, 120, False)):
        follower = Follower(box(100))
        for _ in range(5):
            follower.update(rows([box(100)], labels=np.array([1])))
        for _ in range(15):
            follower.update(rows([]))
        followed = follower.update(rows([box(145, side=side)], np.array([score]), np.array([label])))
        assert followed is not None
        assert followed.detected == is_found


def test_a_hidden_object_keeps_its_size() -> None:
    """An obstacle hides it from the right: its last boxes become narrow, but its predicted box does not turn inside out."""
    follower = Follower(box(100))
    for frame in range(12):
        follower.update(rows([[80, 30, max(120 - 3 * frame, 90), 70]]))
    for _ in range(40):
        followed = follower.update(rows([]))
        assert followed is not None
        assert 5 < followed.box[2] - followed.box[0] < 10


def test_lost_for_good() -> None:
    follower = Follower(box(100), max_lost_seconds=0.5)
    follower.update(rows([box(100)]), seconds=10)
    assert follower.update(rows([]), seconds=10.5) is not None
    assert follower.update(rows([]), seconds=10.6) is None
    assert follower.update(rows([box(100)]), seconds=10.7) is None


def test_after_an_error_it_goes_on() -> None:
    follower = Follower(box(100))
    follower.update(rows([box(100)]), seconds=1.0)
    with pytest.raises(ValueError, match="score"):
        follower.update(rows([box(100)], np.array([np.nan])), seconds=2.0)
    with pytest.raises(ValueError, match="not before 1.0"):
        follower.update(rows([]), seconds=0.5)
    followed = follower.update(rows([box(101)]), seconds=1.1)
    assert followed is not None
    assert followed.detected


@pytest.mark.parametrize("given", [[0, 0, 10], [0, 0, 0, 10], [0, 0, np.nan, 10]])
def test_bad_boxes(given: list[float]) -> None:
    with pytest.raises(ValueError, match="expected x1, y1, x2, y2"):
        Follower(given)
