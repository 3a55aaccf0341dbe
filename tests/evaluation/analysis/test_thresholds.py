from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detkit.evaluation.analysis.target import Target
from detkit.evaluation.analysis.thresholds import ClassDetections, PointCounts, best_score, between, lower_bound, operating_points

PRECISION = Target("precision", 0.9)


def detections(correct: list[int], scores: list[float] | None = None, images: int = 10, objects: int = 20) -> ClassDetections:
    """Return detections in falling order of scores, spread over the images."""
    count = len(correct)
    given = np.linspace(0.99, 0.01, count) if scores is None else np.array(scores)
    per_image = np.bincount(np.arange(objects) % images, minlength=images)
    return ClassDetections("cat", np.arange(count) % images, given, np.array(correct, np.bool_), per_image)


def simulated(images: int, seed: int, missed: float = 0.3) -> ClassDetections:
    """Return detections whose chance to be correct rises with their score and varies from image to image."""
    rng = np.random.default_rng(seed)
    image = np.repeat(np.arange(images), rng.poisson(rng.gamma(1.0, 2.0, images)))
    quality = rng.normal(0, 1.5, len(image))
    correct = rng.random(len(image)) < 1 / (1 + np.exp(0.3 - 1.6 * quality - rng.normal(0, 0.7, images)[image]))
    scores = 1 / (1 + np.exp(-quality - 0.8 * rng.normal(size=len(image))))
    return ClassDetections("cat", image, scores, correct, np.bincount(image[correct], minlength=images) + rng.poisson(missed, images))


def test_a_precision_keeps_as_many_detections_as_it_allows() -> None:
    rows = detections([1] * 30 + [0] + [1] * 9 + [0] * 60)
    score = best_score(rows, PRECISION)
    assert score is not None
    counts = PointCounts.at(rows, score)
    kept, correct = counts.correct.sum() + counts.wrong.sum(), counts.correct.sum()
    assert correct == 39
    assert lower_bound(correct, kept) >= 0.9 > lower_bound(correct, kept + 1)


def test_a_recall_keeps_as_few_detections_as_it_needs() -> None:
    rows = detections([1, 0] * 15)
    score = best_score(rows, Target("recall", 0.5))
    assert score is not None
    counts = PointCounts.at(rows, score)
    assert lower_bound(counts.correct.sum(), np.int64(20)) >= 0.5 > lower_bound(counts.correct.sum() - 1, np.int64(20))
    assert best_score(rows, Target("recall", 0.75)) is None, "15 of 20 objects, with no margin"


def test_false_alarms_and_f1() -> None:
    rows = detections([1, 1, 1, 0, 1, 0, 0, 0, 0, 0])
    few = best_score(rows, Target("false-alarms-per-image", 0.2))
    assert few is not None
    assert PointCounts.at(rows, few).wrong.sum() == 1
    best = best_score(rows, Target("f1"))
    assert best is not None
    assert (PointCounts.at(rows, best).correct.sum(), PointCounts.at(rows, best).wrong.sum()) == (4, 1)


@pytest.mark.parametrize("correct", [[], [0] * 5, [1, 1, 0, 0], [0] * 9 + [1] * 20])
def test_a_target_that_no_score_meets(correct: list[int]) -> None:
    assert best_score(detections(correct), PRECISION) is None


def test_equal_scores_are_kept_or_dropped_together() -> None:
    rows = detections([1] * 10 + [1, 0, 0, 0], [0.9] * 10 + [0.5] * 4)
    score = best_score(rows, PRECISION)
    assert score == 0.7, "between .9 and .5, as the four at .5 would cost too much precision"
    mixed = detections([1, 1, 1, 0, 0, 0], [0.5] * 6)
    assert best_score(mixed, PRECISION) is None


def test_scores_lie_clear_of_the_detections() -> None:
    assert between(0.30123, 0.62) == 0.46
    assert between(0.30001, 0.30009) == 0.30005
    assert between(0.3, 0.3 + 1e-9) == 0.3 + 1e-9, "no room: the lowest score that is kept"
    assert between(0.0, 0.004) == 0.002


def test_few_detections_that_are_all_correct_prove_little() -> None:
    (point,) = operating_points([(detections([1, 1, 1]), 0.5)], resamples=500)
    assert point.evidence is not None
    assert point.precision == 1
    low, high = point.evidence.intervals["precision"]
    assert low < 0.5
    assert high == 1
    (many,) = operating_points([(detections([1] * 100, images=100, objects=100), 0.001)], resamples=500)
    assert many.evidence is not None
    assert many.evidence.intervals["precision"][0] > 0.9


def test_numbers_at_a_score() -> None:
    rows = detections([1, 1, 0, 1, 0])
    (point,) = operating_points([(rows, 0.2)], resamples=50)
    assert (point.precision, point.recall, point.f1) == (0.75, 3 / 20, pytest.approx(6 / 24))
    assert point.evidence is not None
    assert (point.evidence.objects, point.evidence.false_alarms_per_image) == (20, 0.1)
    assert operating_points([]) == ()


def test_detections_of_one_image_say_less_than_those_of_many() -> None:
    spread = replace(detections([1, 0] * 50, images=50, objects=60), image=np.repeat(np.arange(50), 2))
    widths = []
    for rows in (spread, replace(spread, correct=np.sort(spread.correct))):  # one of two in each image; both or none
        (point,) = operating_points([(rows, 0.001)], resamples=1000)
        assert point.evidence is not None
        low, high = point.evidence.intervals["precision"]
        widths.append(high - low)
    assert widths[1] > 1.2 * widths[0]


@pytest.mark.slow
def test_intervals_hold_for_new_images() -> None:
    inside = []
    for seed in range(200):
        rows, new = simulated(40, seed), simulated(40, 1000 + seed)
        score = best_score(rows, PRECISION)
        if score is None:
            continue
        (point,) = operating_points([(rows, score)], resamples=400)
        counts = PointCounts.at(new, score)
        kept = counts.correct.sum() + counts.wrong.sum()
        assert point.evidence is not None
        low, high = point.evidence.intervals["precision"]
        if kept:
            inside.append(low <= counts.correct.sum() / kept <= high)
    assert len(inside) > 100
    assert 0.9 <= np.mean(inside) <= 1
