"""HOTA, MOTA and IDF1 against the package trackeval, with MOTChallenge's preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from track_files import sequence, write_rows

from detkit.evaluation.tracks import MOT_DISTRACTORS, MOT_PEDESTRIAN, TrackNumbers, combine, evaluate_sequence, read_results, read_truth

pytest.importorskip("trackeval")
FRAMES = 60
NAMES = {
    "HOTA": ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA"),
    "CLEAR": ("MOTA", "MOTP", "IDSW", "Frag", "MT", "PT", "ML"),
    "Identity": ("IDF1", "IDR", "IDP", "IDTP", "IDFN", "IDFP"),
}
RENAMED = {"TP": "CLR_TP", "FN": "CLR_FN", "FP": "CLR_FP", "recall": "CLR_Re", "precision": "CLR_Pr"}


def theirs(folder: Path, sequences: dict[str, int], capsys: Any) -> dict[str, float]:
    """Return TrackEval's numbers of all sequences together."""
    from trackeval import metrics
    from trackeval.datasets import MotChallenge2DBox

    folders = {"GT_FOLDER": str(folder / "gt"), "TRACKERS_FOLDER": str(folder / "results")}
    settings = {"BENCHMARK": "MOT17", "SPLIT_TO_EVAL": "train", "SEQ_INFO": sequences, "PRINT_CONFIG": False}
    data = MotChallenge2DBox({**folders, **settings})
    numbers: dict[str, float] = {}
    for name, fields in NAMES.items():
        metric = getattr(metrics, name)() if name == "HOTA" else getattr(metrics, name)({"PRINT_CONFIG": False})
        parts = {}
        for sequence_name in sequences:
            raw = data.get_raw_seq_data("ours", sequence_name)
            parts[sequence_name] = metric.eval_sequence(data.get_preprocessed_seq_data(raw, "pedestrian"))
        result = metric.combine_sequences(parts)
        numbers |= {field: float(np.mean(result[field])) for field in fields}
        if name == "CLEAR":
            numbers |= {ours: float(result[field]) for ours, field in RENAMED.items()}
    capsys.readouterr()
    return numbers


def written(folder: Path, name: str, labels: list[Any], results: list[Any]) -> TrackNumbers:
    truth = write_rows(folder / "gt" / "MOT17-train" / name / "gt" / "gt.txt", labels)
    found = write_rows(folder / "results" / "MOT17-train" / "ours" / "data" / f"{name}.txt", results)
    return evaluate_sequence(read_truth(truth), read_results(found), (MOT_PEDESTRIAN,), MOT_DISTRACTORS, FRAMES)


def box(frame: int, track: int, left: float = 10.0) -> tuple[float, ...]:
    return (frame, track, left, 20, 30, 40, 1, 1, 1)


STILL = [box(frame, 1) for frame in range(1, 21)]
CASES: dict[str, tuple[list[Any], list[Any]]] = {
    "no results": (STILL, []),
    "no labels": ([], [box(frame, 5) for frame in range(1, 9)]),
    "only labels that do not count": ([(*row[:6], 0, 1, 1) for row in STILL], STILL),
    "one frame": ([box(1, 1), box(1, 2, 200)], [box(1, 7, 12), box(1, 8, 203)]),
    "ids swapped": (
        [box(frame, track, 100 * track) for frame in range(1, 21) for track in (1, 2)],
        [box(frame, track if frame < 11 else 3 - track, 100 * track) for frame in range(1, 21) for track in (1, 2)],
    ),
    "interrupted": (STILL, [row for row in STILL if row[0] not in (5, 6, 13)]),
    "frames without results between": (STILL + [box(frame, 2, 300) for frame in range(4, 9)], [row for row in STILL if row[0] % 4]),
}


@pytest.mark.oracle("trackeval", "HOTA, MOTA and IDF1 of hand-made sequences", tolerance="1e-9")
@pytest.mark.parametrize("case", CASES)
def test_hand_made_sequences(case: str, tmp_path: Path, capsys: Any) -> None:
    ours = written(tmp_path, "a", *CASES[case]).as_dict()
    for name, value in theirs(tmp_path, {"a": FRAMES}, capsys).items():
        assert ours[name] == pytest.approx(value, abs=1e-9), name


@pytest.mark.oracle("trackeval", "HOTA, MOTA and IDF1 of several sequences together", tolerance="1e-9")
def test_generated_sequences_together(tmp_path: Path, capsys: Any) -> None:
    parts = [written(tmp_path, f"s{seed}", *sequence(seed, FRAMES)) for seed in range(5)]
    ours = combine(parts).as_dict()
    for name, value in theirs(tmp_path, {f"s{seed}": FRAMES for seed in range(5)}, capsys).items():
        assert ours[name] == pytest.approx(value, abs=1e-9), name
    assert 0.1 < ours["HOTA"] < 0.9
    assert ours["IDSW"] > 5
