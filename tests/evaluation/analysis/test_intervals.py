from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detkit.evaluation.analysis.intervals import WIDENING, Interval, corrected_interval, metric_intervals
from detkit.evaluation.coco import evaluate_coco
from detkit.evaluation.numbers import COCO_NAMES


def test_intervals_hold_the_metrics_and_depend_on_the_seed_alone(difficult_scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, results = difficult_scene(images=40, detections=600, detected=0.9)
    found, numbers = metric_intervals(truth, results, resamples=100), evaluate_coco(truth.to_dict(), results)
    assert list(found.metrics) == list(COCO_NAMES)
    for name, interval in found.metrics.items():
        assert interval.low < numbers[name] < interval.high, name
    for row, interval in zip(numbers.classes, found.classes, strict=True):
        assert interval.low < row.ap < interval.high or (math.isnan(row.ap) and math.isnan(interval.low))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    again = metric_intervals(truth, results, resamples=100)
    assert again.metrics == found.metrics
    assert metric_intervals(truth, results, resamples=100, seed=1).metrics != found.metrics


def test_bias_of_the_resamples_is_subtracted_with_that_of_the_value() -> None:
    samples = 0.5 + 0.01 * np.random.default_rng(0).standard_normal(100_000)
    without = corrected_interval(0.5, samples)
    assert (without.low, without.high) == pytest.approx((0.5 - WIDENING * 0.0196, 0.5 + WIDENING * 0.0196), abs=5e-4)
    biased = corrected_interval(0.5 - 0.003, samples)  # the resamples are .003 too high: the value is .003 / (sqrt(2) - 1) too high
    center = 0.5 - 0.003 - 0.003 / (math.sqrt(2) - 1)
    assert (biased.low + biased.high) / 2 == pytest.approx(center, abs=2e-4)
    assert biased.high - biased.low == pytest.approx(without.high - without.low)
    assert corrected_interval(1.0, np.ones(50)) == Interval(1.0, 1.0)
    assert corrected_interval(0.99, np.array([0.9, 0.5, np.nan, 1.0])).high <= 1.0
    assert math.isnan(corrected_interval(math.nan, samples).low)
    assert math.isnan(corrected_interval(0.5, np.full(3, np.nan)).low)


@pytest.mark.slow
def test_intervals_hold_the_ap_of_infinitely_many_images_as_often_as_they_say() -> None:
    spec = importlib.util.spec_from_file_location("interval_coverage", Path(__file__).parent / "interval_coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    missed = module.coverage(images=400, scenes=100, resamples=400)
    covered = [1 - above - below for above, below in missed.values()]
    assert 0.91 < np.mean(covered) < 0.985  # of 100 scenes and correlated numbers
    assert np.mean([above for above, _ in missed.values()]) < 0.07  # without the correction it is .18
