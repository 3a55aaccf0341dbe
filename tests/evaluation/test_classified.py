"""The analysis of a classifier's predictions agrees with scikit-learn and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from detkit.evaluation.classified import ClassifiedImages, wilson_interval

NAMES = ("cat", "dog", "bird", "fish")


def classified(labels: list[int], rows: list[list[float]]) -> ClassifiedImages:
    orders = [np.argsort(-np.array(row), kind="stable") for row in rows]
    return ClassifiedImages(NAMES, np.array(labels), orders, [np.array(row)[order] for row, order in zip(rows, orders, strict=True)])


@pytest.fixture
def random() -> ClassifiedImages:
    """200 images of three of the four classes, of which two thirds are classified correctly."""
    rng = np.random.default_rng(3)
    labels = rng.choice(3, 200, p=[0.6, 0.3, 0.1])
    logits = rng.normal(size=(200, 4)) + 1.5 * np.eye(4)[labels]
    rows = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return classified(labels.tolist(), rows.tolist())


def test_classes_equal_scikit_learns(random: ClassifiedImages) -> None:
    expected = precision_recall_fscore_support(random.labels, random.first, labels=range(4), zero_division=np.nan)
    for index, row in enumerate(random.classes):
        got = [row.precision, row.top1, row.f1, row.images]
        np.testing.assert_allclose(got, [column[index] for column in expected], rtol=1e-12)
    matrix = confusion_matrix(random.labels, random.first, labels=range(4))
    counts = {(true, predicted): len(images) for true, predicted, images in random.confusions}
    assert counts == {(a, b): matrix[a, b] for a in range(4) for b in range(4) if matrix[a, b]}
    for true, predicted, images in random.confusions:
        assert set(images) == set(np.flatnonzero((random.labels == true) & (random.first == predicted)))
        assert (np.diff(random.first_scores[images]) >= 0).all()


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (3, 3), (7, 20), (995, 1000)])
def test_intervals_of_proportions_equal_scipys(successes: int, trials: int) -> None:
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    interval = wilson_interval(successes, trials)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_of_the_mean_over_classes_is_that_of_a_bootstrap_over_images(random: ClassifiedImages) -> None:
    rng, values = np.random.default_rng(1), []
    for _ in range(2000):
        drawn = rng.integers(0, 200, 200)
        labels, right = random.labels[drawn], (random.first == random.labels)[drawn]
        values.append(np.mean([right[labels == label].mean() for label in np.unique(labels)]))
    interval = random.intervals["balanced"]
    low, high = np.quantile(values, [0.025, 0.975])
    assert interval.low < random.accuracy.balanced < interval.high
    assert (interval.high - interval.low) / (high - low) == pytest.approx(1, abs=0.15)


def test_mistakes_are_listed_from_the_most_confident(random: ClassifiedImages) -> None:
    assert len(random.mistakes) == np.sum(random.first != random.labels) == round(200 * (1 - random.accuracy.top1))
    assert [row.score for row in random.mistakes] == sorted((row.score for row in random.mistakes), reverse=True)
    for row in random.mistakes:
        assert row.rank is not None
        assert random.predictions[row.image][row.rank - 1] == row.true_class == random.labels[row.image]
        assert random.scores[row.image][row.rank - 1] == row.true_score < row.score


def test_calibration_is_the_direct_computation(random: ClassifiedImages) -> None:
    total, scores, right = 0.0, random.first_scores, random.first == random.labels
    for low in np.arange(10) / 10:
        inside = (scores >= low) & (scores < low + 0.1)
        if inside.any():
            total += inside.mean() * abs(scores[inside].mean() - right[inside].mean())
    assert random.calibration.ece == pytest.approx(total, abs=1e-9)


def test_an_image_without_any_prediction_is_wrong_and_listed_nowhere() -> None:
    one = ClassifiedImages(NAMES, np.array([0, 1]), [np.array([0]), np.array([], int)], [np.array([0.9]), np.array([])])
    assert (one.accuracy.top1, one.mistakes, len(one.confusions)) == (0.5, (), 1)
    assert math.isnan(one.classes[3].top1)
    assert one.to_dict()["mistake_count"] == 0
