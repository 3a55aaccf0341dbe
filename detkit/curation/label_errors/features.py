"""Evidence for and against labels: numbers about detections and labels of one image, from which the scores are computed.

Every number is of the order of 1 whatever the data, so that weights found on one data set are a fair start for another.
"""

from __future__ import annotations

import numpy as np

from detkit.arrays import Doubles, Features, Flags, Floats, Integers
from detkit.curation.label_errors.logistic import logit
from detkit.curation.label_errors.overlaps import Scene, iou_matrix, largest, largest_of_others, match, relative_sizes, share_inside

SUPPORT_IOU = 0.5
"""From this IoU on a detection and a label are about the same object."""
NEAR_IOU = 0.1
"""From this IoU on a detection may be the object of a label that was drawn badly."""


def detection_features(scene: Scene, usual: Features) -> Doubles:
    """Return ``(M, 6)`` numbers about the detections alone.

    Args:
        scene: The image.
        usual: Log odds of the score that is usual for objects of each class.
    """
    odds = logit(scene.scores)
    ious = iou_matrix(scene.detected, scene.detected)
    better = np.arange(len(ious))[:, None] < np.arange(len(ious))[None]
    same = scene.detected_labels[:, None] == scene.detected_labels[None]
    columns = (
        np.ones(len(odds)),
        odds / 2,
        (odds - usual[scene.detected_labels]) / 2,
        relative_sizes(scene.detected, scene.scale) / 2,
        largest(np.where(better & same, ious, 0.0), 0),
        largest(np.where(better & ~same, ious, 0.0), 0),
    )
    return np.stack(columns, 1)


def missing_features(scene: Scene, detected: Features, removed: Integers) -> Doubles:
    """Return ``(M, 11)`` numbers about detections and the labels around them.

    Args:
        scene: The image.
        detected: Their :func:`detection_features`.
        removed: ``(M,)`` for each detection a label that is taken for missing, -1 for none.
    """
    same = scene.labels[:, None] == scene.detected_labels[None]
    stays = np.arange(len(scene.labels))[:, None] != removed[None]
    ious = np.where(stays, iou_matrix(scene.boxes, scene.detected), 0.0)
    inside = np.where(stays, share_inside(scene.detected, scene.boxes).T, 0.0)
    around = np.where(stays, share_inside(scene.boxes, scene.detected), 0.0)
    count = np.maximum(len(scene.labels) - (removed >= 0), 0)
    columns = (
        2 * largest(np.where(same, ious, 0.0), 0),
        largest(np.where(same, inside, 0.0), 0),
        largest(np.where(same, around, 0.0), 0),
        largest(np.where(same, 0.0, ious), 0),
        np.log1p(count) / 2,
    )
    return np.concatenate([detected, np.stack(columns, 1)], 1)


def label_features(scene: Scene, boxes: Floats, labels: Integers, qualities: Features, expected: Features) -> Doubles:
    """Return ``(N, 9)`` numbers about labels that stand in place of those of an image, each by itself among the others as they are.

    Args:
        scene: The image with ``N`` labels.
        boxes: ``(N, 4)`` boxes of the labels in question.
        labels: ``(N,)`` their classes.
        qualities: ``(M,)`` probability that each detection is right.
        expected: ``(N,)`` probability that the detector finds an object like this.
    """
    ious = iou_matrix(boxes, scene.detected)
    same = labels[:, None] == scene.detected_labels[None]
    others = largest_of_others(np.where(scene.labels[:, None] == scene.detected_labels[None], iou_matrix(scene.boxes, scene.detected), 0.0))
    claimed = others > np.maximum(ious, NEAR_IOU)
    supports = same & (ious >= SUPPORT_IOU)
    near = same & ~claimed & (ious >= NEAR_IOU) & (ious < SUPPORT_IOU)
    supported = largest(np.where(supports, qualities, 0.0), 1)
    columns = (
        np.ones(len(boxes)),
        supported,
        largest(np.where(supports & ~claimed, qualities * ious, 0.0), 1),
        largest(np.where(near, qualities, 0.0), 1),
        largest(np.where(~same & (ious >= SUPPORT_IOU) & (others < SUPPORT_IOU), qualities, 0.0), 1),
        expected * (1 - supported),
        expected,
        relative_sizes(boxes, scene.scale) / 2,
        np.full(len(boxes), np.log1p(len(boxes)) / 2),
    )
    return np.stack(columns, 1)


def expectation_features(scene: Scene, boxes: Floats, usual: Features) -> Doubles:
    """Return ``(N, 4)`` numbers on which it depends whether the detector finds an object: intercept, size, number of labels, its class."""
    columns = (
        np.ones(len(boxes)),
        relative_sizes(boxes, scene.scale) / 2,
        np.full(len(boxes), np.log1p(len(boxes)) / 2),
        usual,
    )
    return np.stack(columns, 1)


def matches(scene: Scene) -> tuple[Integers, Flags]:
    """Return for each detection the label that it matches, -1 for none, and which detections overlap a label of their class enough."""
    ious = iou_matrix(scene.boxes, scene.detected)
    same = scene.labels[:, None] == scene.detected_labels[None]
    return match(ious, same, SUPPORT_IOU), np.where(same, ious, 0.0).max(0, initial=0.0) >= SUPPORT_IOU
