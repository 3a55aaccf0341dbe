"""Scores of doubtful labels: logistic regressions that learn from the data set itself to tell planted errors from its labels.

Most labels of a data set are right. So what a wrong label looks like to this detector on this data can be learned by making wrong
labels out of the right ones: a box is moved, a class exchanged, a label removed. A regression per kind of error compares them with the
labels as they are. Its odds times the rate of errors that is assumed are the odds that a label is wrong, so that the kinds have one scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detkit.arrays import Doubles, Features, Flags, Integers
from detkit.curation.label_errors.features import (
    detection_features,
    expectation_features,
    label_features,
    matches,
    missing_features,
)
from detkit.curation.label_errors.logistic import fit_logistic, logit, sigmoid
from detkit.curation.label_errors.overlaps import Scene
from detkit.curation.label_errors.planting import exchanged, moved

ERROR_RATE = 0.03
"""Share of labels that is assumed to be wrong in each of the three ways; it scales the scores and hardly changes their order."""
CLASS_STRENGTH = 10.0
"""Number of objects from which on the numbers of a class count more than those of all classes."""
DETECTION_PRIOR = np.array([0.5, 1.5, 0.5, 0.3, -2.0, -1.0])
EXPECTATION_PRIOR = np.array([2.0, 2.0, -0.5, 0.7])
MISSING_PRIOR = np.array([0.5, 1.5, 0.5, 0.3, -2.0, -1.0, -1.0, -1.0, -1.0, -2.0, 0.0])
BOX_PRIOR = np.array([0.0, -1.0, -3.0, 3.0, 0.0, 3.0, 0.0, 0.0, 0.0])
CLASS_PRIOR = np.array([0.0, -4.0, 0.0, -1.0, 4.0, 2.0, 0.0, 0.0, 0.0])


@dataclass(frozen=True, eq=False)
class SceneScores:
    """The scores of one image.

    Attributes:
        missing: ``(M,)`` for each detection the probability that it is an object without a label.
        box: ``(N,)`` for each label the probability that its box is wrong.
        class_: ``(N,)`` for each label the probability that its class is wrong.
        qualities: ``(M,)`` for each detection the probability that it is right, whatever the labels are.
    """

    missing: Doubles
    box: Doubles
    class_: Doubles
    qualities: Doubles


def score_scenes(scenes: Sequence[Scene], class_count: int, thresholds: Features | None = None, seed: int = 0) -> list[SceneScores]:
    """Return the scores of all images of a data set.

    Args:
        scenes: The images.
        class_count: Number of classes of the data.
        thresholds: ``(K,)`` score from which on the detector is right, of each class: its operating points; NaN where unknown.
        seed: Seed of the errors that are planted to learn from.
    """
    random = np.random.default_rng(seed)
    matched, near = zip(*(matches(scene) for scene in scenes), strict=True) if scenes else ((), ())
    usual = usual_odds(scenes, matched, class_count, thresholds)
    alone = [detection_features(scene, usual) for scene in scenes]
    quality_weights = fit_logistic(np.concatenate(alone), np.concatenate(matched) >= 0, DETECTION_PRIOR)
    qualities = [sigmoid(rows @ quality_weights) for rows in alone]
    missing = _missing(scenes, alone, matched, near)
    found = [np.isin(np.arange(len(scene.labels)), match) for scene, match in zip(scenes, matched, strict=True)]
    box, class_ = _wrong_labels(scenes, qualities, _expectations(scenes, found, class_count), random)
    return [SceneScores(*rows) for rows in zip(missing, box, class_, qualities, strict=True)]


def usual_odds(scenes: Sequence[Scene], matched: Sequence[Integers], class_count: int, thresholds: Features | None) -> Doubles:
    """Return ``(K,)`` the log odds of the score that the detector usually gives to objects of each class.

    It is the class's operating point if the detector has one, else the mean over matched detections, near that of all classes for classes
    with few of them.
    """
    labels = np.concatenate([scene.detected_labels[match >= 0] for scene, match in zip(scenes, matched, strict=True)])
    odds = np.concatenate([logit(scene.scores[match >= 0]) for scene, match in zip(scenes, matched, strict=True)])
    mean = odds.mean() if len(odds) else 0.0
    totals = np.bincount(labels, odds, class_count) + CLASS_STRENGTH * mean
    usual: Doubles = totals / (np.bincount(labels, minlength=class_count) + CLASS_STRENGTH)
    return usual if thresholds is None else np.where(np.isnan(thresholds), usual, logit(np.nan_to_num(thresholds, nan=0.5)))


def _missing(scenes: Sequence[Scene], alone: Sequence[Doubles], matched: Sequence[Integers], near: Sequence[Flags]) -> list[Doubles]:
    """Return the probability that each detection is an object without a label, 0 for those that a label of their class explains."""
    kept = [missing_features(scene, rows, np.full(len(rows), -1)) for scene, rows in zip(scenes, alone, strict=True)]
    removed = [missing_features(scene, rows, match) for scene, rows, match in zip(scenes, alone, matched, strict=True)]
    wrong = np.concatenate([rows[match >= 0] for rows, match in zip(removed, matched, strict=True)])
    right = np.concatenate([rows[~close] for rows, close in zip(kept, near, strict=True)])
    weights = _fitted(wrong, right, MISSING_PRIOR)
    return [np.where(close, 0.0, _posterior(rows @ weights)) for rows, close in zip(kept, near, strict=True)]


def _expectations(scenes: Sequence[Scene], found: Sequence[Flags], class_count: int) -> list[Doubles]:
    """Return for each label the probability that the detector finds an object like this."""
    labels, hits = np.concatenate([scene.labels for scene in scenes]), np.concatenate(found)
    known = np.concatenate([scene.known for scene in scenes])
    mean = hits[known].mean() if known.any() else 0.5
    totals = np.bincount(labels, hits, class_count) + CLASS_STRENGTH * mean
    recall = logit(totals / (np.bincount(labels, minlength=class_count) + CLASS_STRENGTH), 0.02)
    rows = [expectation_features(scene, scene.boxes, recall[scene.labels]) for scene in scenes]
    weights = fit_logistic(np.concatenate(rows)[known], hits[known], EXPECTATION_PRIOR)
    return [sigmoid(row @ weights) for row in rows]


def _wrong_labels(
    scenes: Sequence[Scene], qualities: Sequence[Doubles], expected: Sequence[Doubles], random: np.random.Generator
) -> tuple[list[Doubles], list[Doubles]]:
    """Return the probabilities that boxes and classes are wrong."""
    known = np.concatenate([scene.known for scene in scenes])
    classes = np.unique(np.concatenate([scene.labels for scene in scenes])[known])
    right = [_of_labels(scene, q, e) for scene, q, e in zip(scenes, qualities, expected, strict=True)]
    misplaced = [
        label_features(scene, moved(scene.boxes, scene.size, random), scene.labels, q, e)
        for scene, q, e in zip(scenes, qualities, expected, strict=True)
    ]
    swapped = [
        label_features(scene, scene.boxes, np.where(scene.known, exchanged(scene.labels, classes, random), scene.labels), q, e)
        for scene, q, e in zip(scenes, qualities, expected, strict=True)
    ]
    stacked = np.concatenate(right)[known]
    box = _fitted(np.concatenate(misplaced)[known], stacked, BOX_PRIOR)
    class_ = _fitted(np.concatenate(swapped)[known], stacked, CLASS_PRIOR)
    return tuple(  # type: ignore[return-value]
        [np.where(scene.known, _posterior(rows @ weights), 0.0) for scene, rows in zip(scenes, right, strict=True)]
        for weights in (box, class_)
    )


def _of_labels(scene: Scene, qualities: Doubles, expected: Doubles) -> Doubles:
    return label_features(scene, scene.boxes, scene.labels, qualities, expected)


def _fitted(wrong: Doubles, right: Doubles, prior: Doubles) -> Doubles:
    """Return the weights that tell wrong labels from right ones."""
    return fit_logistic(np.concatenate([wrong, right]), np.arange(len(wrong) + len(right)) < len(wrong), prior)


def _posterior(odds: Doubles) -> Doubles:
    """Return the probability of an error from the log odds between planted errors, one for each label, and labels as they are."""
    return sigmoid(odds + np.log(ERROR_RATE))
