"""Evaluation of tracks: HOTA, MOTA and IDF1, computed as by TrackEval; files in MOTChallenge's format. Runs on numpy."""

from __future__ import annotations

from detkit.evaluation.tracks.metrics import TrackNumbers, combine, evaluate_sequence
from detkit.evaluation.tracks.mot_files import read_results, read_truth
from detkit.evaluation.tracks.rows import MOT_DISTRACTORS, MOT_PEDESTRIAN, TrackRows

__all__ = [
    "MOT_DISTRACTORS",
    "MOT_PEDESTRIAN",
    "TrackNumbers",
    "TrackRows",
    "combine",
    "evaluate_sequence",
    "read_results",
    "read_truth",
]
