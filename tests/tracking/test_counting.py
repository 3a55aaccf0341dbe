"""Counts over lines and in zones: exact on generated paths, and the rules at ends, on borders, under jitter and with gaps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from moving_boxes import rows

from detkit.tracking import Counting, Line, Tracks, Zone
from detkit.tracking.geometry import anchor_points, border_distances, in_polygon
from detkit.tracking.lines import LineCounter
from detkit.tracking.memory import TrackMemory
from detkit.tracking.zones import ZoneCounter

LINE = Line((0, 100), (200, 100), "gate")
SQUARE = Zone(((0, 0), (100, 0), (100, 100), (0, 100)), "yard")


def at(
    points: Sequence[tuple[float, float]], *, ids: Sequence[int] = (), labels: Sequence[int] = (), seconds: float | None = None
) -> Tracks:
    """Return tracks with boxes of 20 x 20 around their points."""
    centers = np.array(points, np.float64).reshape(-1, 2)
    detections = rows(np.concatenate([centers - 10, centers + 10], axis=1), labels=np.array(labels) if labels else None)
    numbers = np.array(ids) if ids else np.arange(1, len(centers) + 1)
    return Tracks(detections, numbers.astype(np.int64), np.arange(len(centers)), seconds)


def counts(path: Sequence[tuple[float, float]], line: Line = LINE, margin: float = 0.0) -> tuple[int, int]:
    """Return how often one track crosses a line in and out."""
    counter = LineCounter(line, margin=margin)
    for point in path:
        counter.update(at([point]))
    return counter.count("in"), counter.count("out")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([(50, 90), (50, 110)], (1, 0)),
        ([(50, 110), (50, 90)], (0, 1)),
        ([(50, 90), (50, 110), (50, 90), (50, 110)], (2, 1)),
        ([(50, 90), (50, 100), (50, 110)], (1, 0)),
        ([(50, 90), (50, 100), (50, 90)], (0, 0)),
        ([(50, 100), (50, 100), (90, 100)], (0, 0)),
        ([(50, 100), (50, 110), (50, 90)], (0, 1)),
        ([(50, 90), (50, 100), (250, 100), (250, 110)], (1, 0)),
        ([(250, 90), (250, 100), (50, 100), (50, 110)], (0, 0)),
        ([(200, 90), (200, 110)], (1, 0)),
        ([(200.01, 90), (200.01, 110)], (0, 0)),
        ([(190, 90), (212, 112)], (1, 0)),
        ([(191, 90), (213, 112)], (0, 0)),
        ([(50, 90), (250, 90), (250, 110), (50, 110), (50, 90)], (0, 1)),
    ],
    ids=[
        *(
            "left to right is in",
            "right to left is out",
            "there and back",
            "over a point on it",
            "touched only",
            "along it",
            "begins on it",
        ),
        *("leaves its side within it", "leaves its side beyond it", "over its end", "past its end", "slanted over it", "slanted past it"),
        "around its end",
    ],
)
def test_rules_of_a_line(path: list[tuple[float, float]], expected: tuple[int, int]) -> None:
    assert counts(path) == expected
    mirrored = Line((200, 100), (0, 100))
    assert counts(path, mirrored) == expected[::-1]


def test_jitter_at_a_line_counts_nothing() -> None:
    random = np.random.default_rng(0)
    standing = [(50.0, 100 + float(offset)) for offset in random.normal(0, 0.3, 200)]
    assert sum(counts(standing, margin=0.0)) > 20
    assert counts(standing, margin=0.1) == (0, 0)
    slow = [(50.0, 90 + 0.1 * number + float(offset)) for number, offset in enumerate(random.normal(0, 0.3, 200))]
    assert counts(slow, margin=0.1) == (1, 0)


def test_missing_frames_and_classes() -> None:
    counter = LineCounter(LINE)
    counter.update(at([(50, 60), (90, 140)], labels=[2, 0]))
    for _ in range(30):
        assert not any(map(len, counter.update(at([]))))
    crossed = counter.update(at([(90, 60), (60, 140)], ids=[2, 1], labels=[0, 2]))
    assert (crossed.inward.tolist(), crossed.outward.tolist()) == ([False, True], [True, False])
    assert counter.to_dict()["classes"] == {"class 0": {"in": 0, "out": 1}, "class 2": {"in": 1, "out": 0}}


def reference_crossings(path: np.ndarray, start: np.ndarray, end: np.ndarray) -> list[int]:
    """Count by the parameters at which two segments meet, in extended precision, step by step."""
    found = [0, 0]
    for first, second in itertools.pairwise(path.astype(np.longdouble)):
        system = np.stack([second - first, start - end], axis=1)
        determinant = system[0, 0] * system[1, 1] - system[0, 1] * system[1, 0]
        if determinant == 0:
            continue
        offset = start - first
        along = (offset[0] * system[1, 1] - system[0, 1] * offset[1]) / determinant
        across = (system[0, 0] * offset[1] - offset[0] * system[1, 0]) / determinant
        if 0 <= along < 1 and 0 <= across <= 1:
            found[0 if determinant > 0 else 1] += 1
    return found


def smooth_paths(seed: int, count: int, frames: int) -> np.ndarray:
    """Return ``(count, frames, 2)`` smooth paths that turn often."""
    random = np.random.default_rng(seed)
    time = np.linspace(0, 2 * np.pi, frames)[None, :, None]
    amplitudes, phases = random.uniform(30, 200, (count, 1, 2)), random.uniform(0, 2 * np.pi, (count, 1, 2))
    return 200 + amplitudes * np.sin(random.integers(1, 5, (count, 1, 2)) * time + phases) + random.uniform(-60, 60, (count, 1, 2)) * time


def test_counts_are_exact_on_generated_paths() -> None:
    """Every object is seen in every frame: lines and concave zones are counted as by an independent computation of each path."""
    polygon = ((100.0, 100.0), (320.0, 90.0), (210.0, 190.0), (330.0, 320.0), (90.0, 300.0), (160.0, 210.0))
    lines = [Line((100, 200), (300, 220), "a"), Line((210, 330), (190, 60), "b")]
    counting = Counting(lines, [Zone(polygon)], margin=0.0, frame_rate=10)
    paths = smooth_paths(1, 40, 300)
    events = [event for frame in range(300) for event in counting.update(at(list(map(tuple, paths[:, frame]))))]
    for counter, line in zip(counting.lines, lines, strict=True):
        expected = np.sum([reference_crossings(path, np.array(line.start), np.array(line.end)) for path in paths], axis=0)
        assert [counter.count("in"), counter.count("out")] == expected.tolist()
        assert expected.min() > 20
    matplotlib_path = pytest.importorskip("matplotlib.path")
    inside = matplotlib_path.Path(polygon).contains_points(paths.reshape(-1, 2)).reshape(paths.shape[:2])
    zone = counting.zones[0].to_dict()
    assert zone["entered"] == (inside[:, 1:] & ~inside[:, :-1]).sum() > 20
    assert zone["left"] == (inside[:, :-1] & ~inside[:, 1:]).sum()
    assert (zone["unique"], zone["inside"]) == (inside.any(1).sum(), inside[:, -1].sum())
    np.testing.assert_allclose(zone["seconds"]["total"], inside[:, :-1].sum() / 10, atol=1e-3)
    np.testing.assert_allclose(zone["seconds"]["longest"], inside[:, :-1].sum(1).max() / 10, atol=1e-3)
    kinds = [event.kind for event in events]
    assert kinds.count("in") + kinds.count("out") == sum(counter.count("in") + counter.count("out") for counter in counting.lines)
    assert kinds.count("left") == zone["left"]


def test_points_in_polygons() -> None:
    square, neighbor = np.array([[0.0, 0], [2, 0], [2, 2], [0, 2]]), np.array([[2.0, 0], [4, 0], [4, 2], [2, 2]])
    points = np.array([[1.0, 1], [3, 1], [2, 1], [5, 1], [2, 0], [1, 0]])
    first, second = in_polygon(points, square), in_polygon(points, neighbor)
    assert (first ^ second).tolist() == [True, True, True, False, True, True]
    assert first.tolist() == in_polygon(points, square[::-1]).tolist()
    np.testing.assert_allclose(border_distances(np.array([[1.0, 1], [5, 6], [1, -2]]), square), [1, 5, 2])


def test_time_in_a_zone() -> None:
    counter = ZoneCounter(SQUARE)
    path = [(50, -30), (50, 50), (60, 50), None, (70, 50), (150, 50), (50, 50), (50, 55)]
    visits = [counter.update(at([] if point is None else [point], seconds=0.5 * number)) for number, point in enumerate(path)]
    assert [row.seconds.round(6).tolist() for row in visits] == [[0], [0], [0.5], [], [1.5], [2], [2], [2.5]]
    assert [row.entered.tolist() for row in visits] == [[False], [True], [False], [], [False], [False], [True], [False]]
    assert (counter.count("entered"), counter.count("left"), counter.count("unique"), counter.inside) == (2, 1, 1, 1)
    assert counter.to_dict()["seconds"] == {"mean": 2.5, "longest": 2.5, "total": 2.5}


def test_borders_of_a_zone() -> None:
    counter = ZoneCounter(SQUARE, margin=0.1)
    for x in (99.0, 101, 99, 101.5, 99, 103, 101, 99, 97.5):
        counter.update(at([(x, 50)]))
    assert (counter.count("entered"), counter.count("left"), counter.count("unique")) == (1, 1, 1)
    outside = ZoneCounter(SQUARE, anchor="bottom")
    assert outside.update(at([(50, 95), (50, 85)])).inside.tolist() == [False, True]


def test_anchors() -> None:
    boxes = np.array([[0.0, 10, 20, 50]])
    assert [anchor_points(boxes, name).tolist() for name in ("center", "bottom", "top", "left", "right")] == [  # type: ignore[arg-type]
        *([[10, 30]], [[10, 50]], [[10, 10]], [[0, 30]], [[20, 30]]),
    ]


def test_tracks_that_ended_are_forgotten() -> None:
    memory = TrackMemory([("value", np.float64)], forget_after=16)
    for update in range(200):
        indices = memory.rows(np.array([1000 - update, 7]))
        assert memory.table["id"][indices].tolist() == [1000 - update, 7]
        memory.table["value"][indices] += 1
        assert len(memory) <= 20
    assert memory.table["value"][memory.table["id"] == 7].tolist() == [200]


def test_errors() -> None:
    with pytest.raises(ValueError, match="two different points"):
        Line((1, 1), (1, 1))
    for polygon in (((0, 0), (1, 1)), ((0, 0), (1, 1), (2, 2)), ((0, 0), (1, np.nan), (2, 2))):
        with pytest.raises(ValueError, match="corners"):
            Zone(polygon)
    with pytest.raises(ValueError, match="named 'yard'"):
        Counting([Line((0, 0), (1, 1), "yard")], [SQUARE])
    with pytest.raises(ValueError, match="unknown anchor"):
        Counting([LINE], anchor="middle")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="margin -1"):
        Counting([LINE], margin=-1)
