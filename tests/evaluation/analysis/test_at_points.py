from __future__ import annotations

import json
import math
from typing import Any

import pytest

from detkit.evaluation.analysis.at_points import at_operating_points
from detkit.evaluation.details import operating_points


def test_numbers_at_the_best_f1_are_those_found_when_it_was_searched(difficult_scene: Any) -> None:
    truth, results = difficult_scene()
    overall, *points = operating_points(truth, results)
    at = at_operating_points(truth, results, {point.name: point.score for point in points if point.exists})
    for found, expected in zip(at.classes, points, strict=True):
        assert found.name == expected.name
        if expected.exists:
            assert (found.score, found.precision, found.recall) == (expected.score, expected.precision, expected.recall)
            assert found.f1 == pytest.approx(expected.f1)
    shared = at_operating_points(truth, results, {}, overall.score).overall
    assert (shared.precision, shared.recall) == (overall.precision, overall.recall)
    assert shared.false_alarms_per_image == (shared.detections - shared.correct) / 6
    assert at.overall.correct == sum(row.correct for row in at.classes)


def test_class_without_a_score_keeps_nothing_unless_there_is_a_default(difficult_scene: Any) -> None:
    truth, results = difficult_scene()
    nothing = at_operating_points(truth, results, {})
    assert nothing.overall.detections == nothing.overall.recall == nothing.overall.false_alarms_per_image == 0
    assert math.isnan(nothing.overall.precision)
    unused = nothing.classes[-1]
    assert (unused.objects, unused.detections) == (0, 0)
    assert math.isnan(unused.recall)
    json.dumps(nothing.to_dict(), allow_nan=False)
    everything = at_operating_points(truth, results, {}, 0.0)
    assert everything.overall.detections > 0
    assert at_operating_points(truth, [], {}, 0.0).overall.detections == 0
