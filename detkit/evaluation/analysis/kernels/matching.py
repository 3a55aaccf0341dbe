"""COCO's matching; the same decisions as pycocotools.

Importing this module imports numba (a third of a second). Compilation takes seconds once; later processes use numba's disk cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detkit.evaluation.analysis.kernels.compilation import compiled


@compiled
def pair_ious(detection: Any, objects: Any, crowd: Any, ious: Any) -> None:
    """Write the IoU of a box with each of ``objects``, in pycocotools' arithmetic; of a crowd, the part of the box that it covers.

    Args:
        detection: ``(4,)`` ``x y width height``.
        objects: ``(M, 4)`` boxes.
        crowd: ``(M,)`` whether each is a crowd.
        ious: ``(M,)`` output.
    """
    x, y, width, height = detection
    for index in range(len(objects)):
        other = objects[index]
        shared_width = min(x + width, other[0] + other[2]) - max(x, other[0])
        shared_height = min(y + height, other[1] + other[3]) - max(y, other[1])
        ious[index] = 0.0
        if shared_width > 0 and shared_height > 0:
            shared = shared_width * shared_height
            union = width * height if crowd[index] else width * height + other[2] * other[3] - shared
            ious[index] = shared / union


@compiled
def match_group(ious: Any, crowd: Any, ignore: Any, threshold: float, free: Any, targets: Any) -> None:
    """Match the detections of an image and class, best first, at one IoU threshold (pycocotools' ``evaluateImg``).

    Args:
        ious: ``(D, M)`` IoU of each detection with each object.
        crowd: ``(M,)`` whether each object is a crowd, which any number of detections may match.
        ignore: ``(M,)`` whether each object is ignored; it is matched only if no other can be.
        threshold: IoU threshold.
        free: ``(M,)`` scratch.
        targets: ``(D,)`` output: index of the matched object, or -1.
    """
    free[:] = True
    for detection in range(len(targets)):
        target = -1
        best = min(threshold, 1 - 1e-10)
        for wanted in (False, True):
            if wanted and target >= 0:
                break
            for index in range(len(crowd)):
                if ignore[index] == wanted and (free[index] or crowd[index]) and ious[detection, index] >= best:
                    best, target = ious[detection, index], index
        targets[detection] = target
        if target >= 0:
            free[target] = False


@compiled
def match_all(groups: Any, detections: Any, objects: Any, crowd: Any, areas: Any, ranges: Any, thresholds: Any, results: Any) -> None:
    """Match all detections at every area range and IoU threshold.

    Args:
        groups: ``(G, 4)`` first and last (excluded) detection, and first and last object, of each image and class with detections.
        detections: ``(N, 4)`` boxes ``x y width height``, by group and best first.
        objects: ``(M, 4)`` boxes, by group.
        crowd: ``(M,)`` whether each is a crowd.
        areas: ``(M,)`` areas.
        ranges: ``(A, 2)`` smallest and largest area (both included) of counted objects.
        thresholds: ``(T,)`` IoU thresholds.
        results: Outputs: ``correct`` and ``ignored`` ``(A, N)``, of which bit ``t`` is for threshold ``t``, and ``target`` ``(N,)`` and
            ``iou`` ``(N,)`` of the first range and threshold: index of the matched object or -1, and its IoU.
    """
    correct, ignored, first_target, first_iou = results
    for group in range(len(groups)):
        start, stop, first, last = groups[group]
        ious = np.zeros((stop - start, last - first))
        targets, free, ignore = np.zeros(stop - start, np.int64), np.ones(last - first, np.bool_), np.zeros(last - first, np.bool_)
        for index in range(start, stop):
            pair_ious(detections[index], objects[first:last], crowd[first:last], ious[index - start])
        for area in range(len(ranges)):
            low, high = ranges[area]
            for index in range(first, last):
                ignore[index - first] = crowd[index] or areas[index] < low or areas[index] > high
            for number in range(len(thresholds)):
                match_group(ious, crowd[first:last], ignore, thresholds[number], free, targets)
                bit = np.uint16(1 << number)
                for index in range(start, stop):
                    target = targets[index - start]
                    own_area = detections[index, 2] * detections[index, 3]
                    if target >= 0 and not ignore[target]:
                        correct[area, index] |= bit
                    elif target >= 0 or own_area < low or own_area > high:
                        ignored[area, index] |= bit
                    if area == 0 and number == 0:
                        first_target[index] = first + target if target >= 0 else -1
                        first_iou[index] = ious[index - start, target] if target >= 0 else 0.0
