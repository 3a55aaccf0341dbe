"""The CLEAR metrics: MOTA, which counts misses, false alarms and changes of ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import linear_sum_assignment

from detkit.arrays import Doubles, Integers
from detkit.evaluation.tracks.rows import Comparison, Frame

_MIN_IOU = 0.5
_EPSILON = float(np.finfo(np.float64).eps)
_SAME_TRACK = 1000.0
"""Weight of going on with the track of the previous frame, relative to the IoU."""
_NONE = -1


@dataclass(frozen=True)
class Clear:
    """Counts of boxes and of tracks (Bernardin and Stiefelhagen, 2008), at IoU .5.

    Attributes:
        true_positives: Labels with a result.
        false_negatives: Labels without one.
        false_positives: Results without a label.
        switches: Labels whose result has another id than the previous result of their track.
        fragments: Interruptions of labeled tracks.
        iou: Sum of the IoUs of the matches.
        mostly_tracked: Labeled tracks of which more than .8 have a result.
        partly_tracked: Those of which .2 to .8 have one.
        mostly_lost: The others.
    """

    true_positives: int = 0
    false_negatives: int = 0
    false_positives: int = 0
    switches: int = 0
    fragments: int = 0
    iou: float = 0.0
    mostly_tracked: int = 0
    partly_tracked: int = 0
    mostly_lost: int = 0

    @classmethod
    def sum(cls, parts: Sequence[Clear]) -> Clear:
        """Return the counts of several sequences together."""
        return cls(*(sum(getattr(part, field.name) for part in parts) for field in fields(cls)))

    def as_dict(self) -> dict[str, float]:
        """Return the metrics by their usual names."""
        labels, tracks = max(1.0, self.true_positives + self.false_negatives), self.mostly_tracked + self.partly_tracked + self.mostly_lost
        return {
            "MOTA": (self.true_positives - self.false_positives - self.switches) / labels,
            "MOTP": self.iou / max(1.0, self.true_positives),
            "recall": self.true_positives / labels,
            "precision": self.true_positives / max(1.0, self.true_positives + self.false_positives),
            "TP": self.true_positives,
            "FN": self.false_negatives,
            "FP": self.false_positives,
            "IDSW": self.switches,
            "Frag": self.fragments,
            "MT": self.mostly_tracked,
            "PT": self.partly_tracked,
            "ML": self.mostly_lost,
            "tracks": tracks,
        }


def clear_of(comparison: Comparison) -> Clear:
    """Match labels and results frame by frame, going on with earlier matches where possible, and count the errors.

    As in MOTChallenge's TrackEval, a match goes on from the last frame that has both labels and results.
    """
    tracks = comparison.truth_tracks
    if not comparison.result_boxes or not comparison.truth_boxes:
        return Clear(false_negatives=comparison.truth_boxes, false_positives=comparison.result_boxes, mostly_lost=tracks)
    present, matched, starts = (np.zeros(tracks, np.int64) for _ in range(3))
    last, previous = np.full(tracks, _NONE), np.full(tracks, _NONE)
    switches, total_iou = 0, 0.0
    for frame in comparison.frames:
        present[frame.truth] += 1
        if not len(frame.truth) or not len(frame.results):
            continue
        truth, results, ious = _matches(frame, previous)
        switches += int(((last[truth] != _NONE) & (last[truth] != results)).sum())
        matched[truth] += 1
        untracked = previous == _NONE
        last[truth] = results
        previous = np.full(tracks, _NONE)
        previous[truth] = results
        starts += untracked & (previous != _NONE)
        total_iou += float(ious.sum())
    right, fragments = int(matched.sum()), int((starts[starts > 0] - 1).sum())
    wrong = comparison.truth_boxes - right, comparison.result_boxes - right
    return Clear(right, *wrong, switches, fragments, total_iou, *_tracked(matched[present > 0] / present[present > 0], tracks))


def _matches(frame: Frame, previous: Integers) -> tuple[Integers, Integers, Doubles]:
    """Return the labeled tracks of the matches of a frame, their results and their IoUs; earlier matches go on where possible."""
    scores = _SAME_TRACK * (previous[frame.truth][:, None] == frame.results) + frame.iou
    scores[frame.iou < _MIN_IOU - _EPSILON] = 0
    rows, columns = linear_sum_assignment(scores, maximize=True)
    keep = scores[rows, columns] > _EPSILON
    rows, columns = rows[keep], columns[keep]
    return frame.truth[rows], frame.results[columns], frame.iou[rows, columns]


def _tracked(shares: Doubles, tracks: int) -> tuple[int, int, int]:
    """Return the numbers of tracks of which most boxes have a result, of which some have, and of the others."""
    mostly, partly = int((shares > 0.8).sum()), int((shares >= 0.2).sum())
    return mostly, partly - mostly, tracks - partly
