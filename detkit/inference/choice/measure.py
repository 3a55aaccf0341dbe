"""Which of several predictors is fastest on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

MIN_ROUNDS, MAX_ROUNDS, SECONDS = 3, 15, 4.0
"""Rounds that are always measured, the most, and the seconds after which no further round begins."""


def milliseconds(
    predictors: Mapping[str, Callable[[Any], Any]], images: Sequence[Any], clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return the median milliseconds per image of each, from pixels to detections.

    All are warmed up; then each image goes to all in turn, so that a change of the machine's speed affects all of them.
    """
    for predictor in predictors.values():
        for image in images:
            predictor(image)
    times: dict[str, list[float]] = {name: [] for name in predictors}
    start = clock()
    for number in range(MAX_ROUNDS):
        if number >= MIN_ROUNDS and clock() - start > SECONDS:
            break
        for image in images:
            for name, predictor in predictors.items():
                begin = clock()
                predictor(image)
                times[name].append(clock() - begin)
    return {name: 1000 * statistics.median(seconds) for name, seconds in times.items()}
