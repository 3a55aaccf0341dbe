"""Tracked boxes of a sequence as a table, and what is compared of truth and results."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from detkit.arrays import Doubles, Flags, Integers
from detkit.ops.box_arrays import paired_iou

MOT_PEDESTRIAN = 1
"""The class of MOTChallenge that is evaluated."""
MOT_DISTRACTORS = (2, 7, 8, 12)
"""Classes of MOTChallenge that look like pedestrians: persons on vehicles, static persons, distractors and reflections."""
_EPSILON = float(np.finfo(np.float64).eps)
_SAME = 0.5
"""IoU from which a result is about a labeled object of a class that is not evaluated."""


@dataclass(frozen=True, eq=False)
class TrackRows:
    """The boxes of a sequence, in any order.

    Attributes:
        frames: ``(N,)`` frame numbers.
        ids: ``(N,)`` ids; an id occurs at most once in a frame.
        boxes: ``(N, 4)`` ``x1 y1 x2 y2``.
        scores: ``(N,)`` score of a result; of a label 0 if it is not evaluated.
        classes: ``(N,)`` classes.
        name: File that they came from, for messages.
    """

    frames: Integers
    ids: Integers
    boxes: Doubles
    scores: Doubles
    classes: Integers
    name: str = "tracks"

    def __post_init__(self) -> None:
        pairs = np.stack([self.frames, self.ids], axis=1)
        unique, counts = np.unique(pairs, axis=0, return_counts=True)
        if len(unique) < len(pairs):
            frame, track = unique[counts > 1][0].tolist()
            raise ValueError(
                f"{self.name}: id {track} occurs more than once in frame {frame}; expected at most one box of a track in a frame"
            )

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: Flags | Integers) -> TrackRows:
        """Return the boxes that a mask or indices select."""
        return TrackRows(self.frames[rows], self.ids[rows], self.boxes[rows], self.scores[rows], self.classes[rows], self.name)


class Frame(NamedTuple):
    """One frame of a comparison.

    Attributes:
        truth: ``(M,)`` number of the track of each label, from 0.
        results: ``(N,)`` number of the track of each result, from 0.
        iou: ``(M, N)`` IoU of labels and results.
    """

    truth: Integers
    results: Integers
    iou: Doubles


@dataclass(frozen=True, eq=False)
class Comparison:
    """Labels and results of a sequence, frame by frame.

    Attributes:
        frames: The frames in order.
        truth_tracks: Number of labeled tracks.
        result_tracks: Number of tracks of the results.
    """

    frames: tuple[Frame, ...]
    truth_tracks: int
    result_tracks: int

    @property
    def truth_boxes(self) -> int:
        """Number of labels."""
        return sum(len(frame.truth) for frame in self.frames)

    @property
    def result_boxes(self) -> int:
        """Number of results."""
        return sum(len(frame.results) for frame in self.frames)


def compared(
    truth: TrackRows, results: TrackRows, classes: Collection[int] | None = None, distractors: Collection[int] = (), frames: int = 0
) -> Comparison:
    """Return what is compared of a sequence, by the rules of MOTChallenge.

    Results that match a label of a class in ``distractors`` (one to one, at IoU .5 or more) are removed. Labels with score 0, and those of
    other ``classes``, are removed.

    Args:
        truth: The labels.
        results: The results.
        classes: Classes of the labels to evaluate; None: all.
        distractors: Classes of which neither labels nor results count.
        frames: Number of frames of the sequence; at least those up to the last box are compared.
    """
    last = int(max(truth.frames.max(initial=0), results.frames.max(initial=0), frames))
    truth_of, results_of = _by_frame(truth.frames, last), _by_frame(results.frames, last)
    wanted = (truth.scores != 0) & (np.ones(len(truth), np.bool_) if classes is None else np.isin(truth.classes, list(classes)))
    pairs = []
    for labels, found in zip(truth_of, results_of, strict=True):
        iou = np.asarray(paired_iou(truth.boxes[labels][:, None], results.boxes[found][None]), np.float64)
        kept = ~_on_distractors(iou, np.isin(truth.classes[labels], list(distractors)))
        shown = wanted[labels]
        pairs.append((labels[shown], found[kept], iou[shown][:, kept]))
    truth_ids = np.unique(truth.ids[np.concatenate([labels for labels, _, _ in pairs])]) if pairs else truth.ids[:0]
    result_ids = np.unique(results.ids[np.concatenate([found for _, found, _ in pairs])]) if pairs else results.ids[:0]
    numbered = (
        Frame(np.searchsorted(truth_ids, truth.ids[labels]), np.searchsorted(result_ids, results.ids[found]), iou)
        for labels, found, iou in pairs
    )
    return Comparison(tuple(numbered), len(truth_ids), len(result_ids))


def _by_frame(frames: Integers, last: int) -> list[Integers]:
    """Return the rows of each frame from 1 to the last one, in the order of the file."""
    order = np.argsort(frames, kind="stable")
    ends = np.searchsorted(frames[order], np.arange(last + 1), side="right")
    return [order[start:end] for start, end in itertools.pairwise(ends)]


def _on_distractors(iou: Doubles, is_distractor: Flags) -> Flags:
    """Return which results are matched to a label that is a distractor."""
    removed = np.zeros(iou.shape[1], np.bool_)
    if is_distractor.any():
        scores = np.where(iou < _SAME - _EPSILON, 0.0, iou)
        rows, columns = linear_sum_assignment(scores, maximize=True)
        matched = scores[rows, columns] > _EPSILON
        removed[columns[matched & is_distractor[rows]]] = True
    return removed
