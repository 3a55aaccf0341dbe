"""COCO's matching and accumulation, compiled with numba; the same numbers as pycocotools.

Importing this module imports numba (a third of a second). Compilation takes seconds once; later processes use numba's disk cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Decorator: compile at the first call and release the GIL during calls; cache on disk where there is a folder to write to."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return cast(Function, njit(cache=True, **options)(function))
    except RuntimeError:  # no folder for the cache
        return cast(Function, njit(**options)(function))


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


@compiled
def count_recalls(objects: int, recalls: Any, reached: Any) -> None:
    """Write how many of the ascending ``recalls`` 0, 1, ..., ``objects`` detected objects reach, and 0 for none.

    Args:
        objects: Number of objects, at least 1.
        recalls: ``(R,)`` ascending recalls.
        reached: ``(objects + 1,)`` output.
    """
    level = 0
    reached[0] = 0
    for count in range(1, objects + 1):
        recall = count / objects
        while level < len(recalls) and recalls[level] <= recall:
            level += 1
        reached[count] = level


@compiled
def most_events(starts: Any, entries: Any) -> int:
    """Return the largest number of detections of a class that are correct or ignored at any threshold, but at least 1."""
    most = 1
    for label in range(len(starts) - 1):
        count = 0
        for index in range(starts[label], starts[label + 1]):
            count += 1 if entries[1][index] | entries[2][index] else 0
        most = max(most, count)
    return most


@compiled
def collect_events(entries: Any, start: int, stop: int, weights: Any, events: Any) -> int:
    """Write the detections of a class that are correct or ignored at any threshold, with the number of detections up to each.

    Args:
        entries: As of :func:`accumulate`.
        start: First entry of the class.
        stop: Entry after its last.
        weights: ``(I, B)`` weights of the images.
        events: Outputs: bits of ``correct``, bits of ``ignored`` and rank ``(P,)``, number of detections and weight ``(P, B)``.

    Returns:
        The number of events.
    """
    image, correct, ignored, rank = entries
    event_correct, event_ignored, event_rank, seen, weight = events
    total, count = np.zeros(weights.shape[1]), 0
    for index in range(start, stop):
        row = weights[image[index]]
        for column in range(len(total)):
            total[column] += row[column]
        if correct[index] | ignored[index]:
            event_correct[count], event_ignored[count], event_rank[count] = correct[index], ignored[index], rank[index]
            for column in range(len(total)):
                seen[count, column], weight[count, column] = total[column], row[column]
            count += 1
    return count


@compiled
def cumulate(number: int, events: Any, reached: Any, state: Any, totals: Any) -> int:
    """Follow recall and precision along the events of a class at one IoU threshold; return the number of correct ones.

    Args:
        number: The threshold.
        events: As of :func:`collect_events`.
        reached: ``(B, M + 1)`` as of :func:`count_recalls`.
        state: Outputs ``(P, B)``: number of recalls reached by each correct event, and its precision.
        totals: ``(3, B)`` outputs: number of correct detections, and of those with rank below 1 and below 10.
    """
    correct, ignored, rank, seen, weight = events
    levels, precision = state
    skipped, points = np.zeros(totals.shape[1]), 0
    totals[:] = 0
    for index in range(len(correct)):
        if correct[index] >> number & 1:
            for column in range(len(skipped)):
                totals[0, column] += weight[index, column]
                precision[points, column] = totals[0, column] / max(seen[index, column] - skipped[column], 1.0)
            for column in range(len(skipped)):
                levels[points, column] = reached[column, int(totals[0, column])]
            for limit in range(1, 3):
                if rank[index] < (1, 1, 10)[limit]:
                    totals[limit] += weight[index]
            points += 1
        elif ignored[index] >> number & 1:
            skipped += weight[index]
    return points


@compiled
def interpolate(points: int, state: Any, precision: Any) -> None:
    """Write the sum over the recalls of the highest precision at that recall or a higher one; 0 where a recall is not reached.

    Args:
        points: Number of correct events.
        state: As of :func:`cumulate`.
        precision: ``(B,)`` output.
    """
    levels, precisions = state
    highest = np.zeros(len(precision))
    precision[:] = 0
    for index in range(points - 1, -1, -1):
        for column in range(len(precision)):
            before = levels[index - 1, column] if index else 0.0
            highest[column] = max(highest[column], precisions[index, column])
            precision[column] += highest[column] * (levels[index, column] - before)


@compiled
def accumulate(starts: Any, entries: Any, object_starts: Any, object_images: Any, weights: Any, recalls: Any, output: Any) -> None:
    """Compute AP and recall of each class, with each image counted as often as its weight (pycocotools' ``accumulate``).

    Args:
        starts: ``(K + 1,)`` first entry of each class.
        entries: ``(E,)`` image index, bits of ``correct``, bits of ``ignored``, and rank of each detection, best first within a class.
        object_starts: ``(K + 1,)`` first object of each class.
        object_images: ``(M,)`` image index of each counted object.
        weights: ``(I, B)`` float weights of the images, whole numbers; each column is one evaluation.
        recalls: ``(101,)`` recalls.
        output: ``(K, 4, T, B)`` output: AP, and recall with 100, 1 and 10 detections, at each IoU threshold.
    """
    most, width = most_events(starts, entries), weights.shape[1]
    bits, ignored, rank = np.zeros(most, np.int64), np.zeros(most, np.int64), np.zeros(most, np.int64)
    seen, weight = np.zeros((most, width)), np.zeros((most, width))
    levels, precision, totals = np.zeros((most, width)), np.zeros((most, width)), np.zeros((3, width))
    for label in range(len(starts) - 1):
        objects = np.zeros(width)
        for index in range(object_starts[label], object_starts[label + 1]):
            objects += weights[object_images[index]]
        reached = np.zeros((width, int(objects.max()) + 1))
        for column in range(width):
            count_recalls(int(objects[column]), recalls, reached[column])
        count = collect_events(entries, starts[label], starts[label + 1], weights, (bits, ignored, rank, seen, weight))
        events = bits[:count], ignored[:count], rank[:count], seen[:count], weight[:count]
        for number in range(output.shape[2]):
            points = cumulate(number, events, reached, (levels, precision), totals)
            interpolate(points, (levels, precision), output[label, 0, number])
            for column in range(width):
                output[label, 0, number, column] /= len(recalls) if objects[column] else np.nan
                for limit in range(3):
                    output[label, 1 + limit, number, column] = totals[limit, column] / objects[column] if objects[column] else np.nan
