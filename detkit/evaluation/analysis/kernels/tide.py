"""TIDE's matching and error types, compiled with numba; the same decisions as the package ``tidecv``."""

from __future__ import annotations

from typing import Any

import numpy as np

from detkit.evaluation.analysis.kernels.compilation import compiled
from detkit.evaluation.analysis.kernels.matching import pair_ious

NO_ERROR, CORRECT, CLASS, LOCATION, BOTH, DUPLICATE, BACKGROUND = -2, -1, 0, 1, 2, 3, 4


@compiled
def match_image(ious: Any, same: Any, crowd: Any, positive: float, used: Any, target: Any) -> None:
    """Match the detections of an image, best first, each with the free object of its class with the highest IoU.

    Args:
        ious: ``(D, M)`` IoU.
        same: ``(D, M)`` whether both are of the same class.
        crowd: ``(M,)`` whether each object is a crowd, which is not matched.
        positive: Smallest IoU of a match.
        used: ``(M,)`` output: whether each object is matched.
        target: ``(D,)`` output: the matched object, or -1.
    """
    for detection in range(len(ious)):
        best, target[detection] = 0.0, -1
        for index in range(len(crowd)):
            if same[detection, index] and not crowd[index] and not used[index] and ious[detection, index] > best:
                best, target[detection] = ious[detection, index], index
        if best >= positive:
            used[target[detection]] = True
        else:
            target[detection] = -1


@compiled
def wrong_kind(ious: Any, same: Any, crowd: Any, used: Any, limits: Any) -> tuple[int, int]:
    """Return the kind of error of an unmatched detection, and the object that it is about or -1.

    Args:
        ious: ``(M,)`` IoU with each object.
        same: ``(M,)`` whether each object is of its class.
        crowd: ``(M,)`` whether each object is a crowd.
        used: ``(M,)`` whether each object is matched.
        limits: Smallest IoU of a match, and largest of the background.
    """
    positive, background = limits
    own, other, taken, any_class = 0.0, 0.0, 0.0, 0.0
    own_index, other_index, count = -1, -1, 0
    for index in range(len(crowd)):
        if crowd[index]:
            continue
        count += 1
        any_class = max(any_class, ious[index])
        if same[index]:
            taken = max(taken, ious[index] if used[index] else 0.0)
            if ious[index] > own:
                own, own_index = ious[index], index
        elif ious[index] > other:
            other, other_index = ious[index], index
    if count and background <= own <= positive:
        return LOCATION, own_index
    if count and other >= positive:
        return CLASS, other_index
    if count and taken >= positive:
        return DUPLICATE, -1
    return (BACKGROUND if any_class <= background else BOTH), -1


@compiled
def classify(groups: Any, boxes: Any, labels: Any, objects: Any, object_labels: Any, crowd: Any, limits: Any, results: Any) -> None:
    """Find the kind of every detection.

    Args:
        groups: ``(G, 4)`` first and last (excluded) detection, and first and last object, of each image.
        boxes: ``(N, 4)`` detections ``x y width height``, by image and best first.
        labels: ``(N,)`` their classes.
        objects: ``(M, 4)`` objects, by image.
        object_labels: ``(M,)`` their classes.
        crowd: ``(M,)`` 1 for a crowd, in which wrong detections are errors without a cost as in tidecv, and 2 for a region to ignore, in
            which they are no errors; 0 for objects.
        limits: Smallest IoU of a match, and largest of the background.
        results: Outputs: ``kind`` and ``about`` ``(N,)``, whether each detection is ignored ``(N,)``, and each object is matched ``(M,)``.
    """
    kind, about, ignored, used = results
    for group in range(len(groups)):
        start, stop, first, last = groups[group]
        ious, same = np.zeros((stop - start, last - first)), np.zeros((stop - start, last - first), np.bool_)
        for index in range(start, stop):
            pair_ious(boxes[index], objects[first:last], crowd[first:last], ious[index - start])
            for number in range(first, last):
                same[index - start, number - first] = labels[index] == object_labels[number]
        target = about[start:stop]
        match_image(ious, same, crowd[first:last], limits[0], used[first:last], target)
        for index in range(start, stop):
            row = index - start
            kind[index] = CORRECT
            if target[row] < 0:
                for number in range(first, last):
                    covered = crowd[number] and same[row, number - first] and ious[row, number - first] > limits[0]
                    no_error = crowd[number] == 2 and same[row, number - first] and ious[row, number - first] >= limits[0]
                    ignored[index] = ignored[index] or covered or no_error
                    if no_error:
                        kind[index] = NO_ERROR
                if kind[index] != NO_ERROR:
                    kind[index], target[row] = wrong_kind(ious[row], same[row], crowd[first:last], used[first:last], limits)
            target[row] += first if target[row] >= 0 else 0
