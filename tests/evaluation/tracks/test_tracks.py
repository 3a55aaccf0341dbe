"""Metrics of tracks by hand, and files in MOTChallenge's format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from track_files import sequence, write_rows

from detkit.evaluation.tracks import combine, evaluate_sequence, read_results, read_truth
from detkit.tracking.mot import write_tracks


def boxes(frames: range, track: int, left: float = 0.0) -> list[tuple[float, ...]]:
    return [(frame, track, left, 0, 10, 10, 1, 1, 1) for frame in frames]


def numbers(folder: Path, labels: list[tuple[float, ...]], results: list[tuple[float, ...]]) -> dict[str, float]:
    truth, found = write_rows(folder / "gt.txt", labels), write_rows(folder / "tracks.txt", results)
    return evaluate_sequence(read_truth(truth), read_results(found)).as_dict()


def test_perfect_tracks(tmp_path: Path) -> None:
    labels = boxes(range(1, 11), 1) + boxes(range(3, 9), 2, 50)
    found = numbers(tmp_path, labels, [(row[0], row[1] + 7, *row[2:]) for row in labels])
    for name in ("HOTA", "DetA", "AssA", "LocA", "MOTA", "IDF1"):
        assert found[name] == pytest.approx(1), name
    assert (found["IDSW"], found["MT"], found["TP"]) == (0, 2, 16)


def test_half_with_another_id(tmp_path: Path) -> None:
    """A track of 10 frames whose id changes after 5: association is .5, detection 1, and half the boxes have the right id."""
    found = numbers(tmp_path, boxes(range(1, 11), 1), boxes(range(1, 6), 1) + boxes(range(6, 11), 2))
    assert found["HOTA"] == pytest.approx(np.sqrt(0.5))
    assert (found["AssA"], found["DetA"], found["IDSW"]) == (pytest.approx(0.5), pytest.approx(1), 1)
    assert found["MOTA"] == pytest.approx(0.9)
    assert found["IDF1"] == pytest.approx(0.5)


def test_misses_and_false_alarms(tmp_path: Path) -> None:
    found = numbers(tmp_path, boxes(range(1, 11), 1), boxes(range(1, 9), 1) + boxes(range(1, 3), 2, 500))
    assert (found["FN"], found["FP"], found["MOTA"]) == (2, 2, pytest.approx(0.6))
    assert found["DetA"] == pytest.approx(8 / 12)


def test_sums_of_sequences_are_not_means(tmp_path: Path) -> None:
    parts = []
    for seed in range(3):
        labels, results = sequence(seed)
        truth, found = write_rows(tmp_path / f"{seed}.txt", labels), write_rows(tmp_path / f"{seed}-found.txt", results)
        parts.append(evaluate_sequence(read_truth(truth), read_results(found)))
    together = combine(parts)
    assert together.clear.true_positives == sum(part.clear.true_positives for part in parts)
    assert together.frames == sum(part.frames for part in parts)


def test_files_round_trip(tmp_path: Path) -> None:
    rows = [(1, 3, (1.25, 2.5, 11.0, 22.0), 0.75), (2, 3, (2.25, 2.5, 12.0, 22.0), 0.5)]
    write_tracks(tmp_path / "tracks.txt", rows)
    read = read_results(tmp_path / "tracks.txt")
    assert (read.frames.tolist(), read.ids.tolist(), read.scores.tolist()) == ([1, 2], [3, 3], [0.75, 0.5])
    np.testing.assert_allclose(read.boxes, [row[2] for row in rows], atol=1e-3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2,3,4,5", "line 1: expected frame,id"),
        ("1,2,a,4,5,6", "line 1: expected frame,id"),
        ("1,2,nan,4,5,6", "line 1: expected frame,id"),
        ("0,2,3,4,5,6", "a frame number from 1"),
        ("1.5,2,3,4,5,6", "a frame number from 1"),
        ("1,2,3,4,-5,6", "a width and a height of 0 or more"),
        ("1,2,3,4,5,6\n1,2,9,9,5,6", "id 2 occurs more than once in frame 1"),
    ],
)
def test_bad_lines(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "tracks.txt").write_text(line)
    with pytest.raises(ValueError, match=message) as error:
        read_results(tmp_path / "tracks.txt")
    assert "tracks.txt" in str(error.value)
