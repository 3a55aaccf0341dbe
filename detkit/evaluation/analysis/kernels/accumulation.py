"""COCO's precision and recall with weighted images; the same numbers as pycocotools.

Importing this module imports numba (a third of a second). Compilation takes seconds once; later processes use numba's disk cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detkit.evaluation.analysis.kernels.compilation import compiled


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
