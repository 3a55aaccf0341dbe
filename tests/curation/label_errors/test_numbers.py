"""Logistic regression, overlaps and planted errors, against slower or other implementations."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from detkit.curation.label_errors.logistic import fit_logistic, logit, sigmoid
from detkit.curation.label_errors.overlaps import iou_matrix, largest_of_others, match, share_inside
from detkit.curation.label_errors.planting import exchanged, moved


@pytest.mark.oracle("scikit-learn", "logistic regression of the label check", tolerance="1e-4")
def test_logistic_regression_equals_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    features = np.concatenate([np.ones((500, 1)), random.normal(size=(500, 3))], 1)
    targets = random.random(500) < sigmoid(features @ [0.5, 1.0, -2.0, 0.0])
    expected = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-8).fit(features, targets).coef_[0]
    np.testing.assert_allclose(fit_logistic(features, targets, np.zeros(4), strength=1.0), expected, atol=1e-4)


def test_without_data_the_prior_stays() -> None:
    prior = np.array([1.0, -2.0])
    np.testing.assert_allclose(fit_logistic(np.zeros((0, 2)), np.zeros(0, np.bool_), prior), prior)


def test_separable_data_give_finite_weights() -> None:
    features = np.stack([np.ones(100), np.linspace(-1, 1, 100)], 1)
    weights = fit_logistic(features, features[:, 1] > 0, np.zeros(2), strength=1e-3)
    assert np.isfinite(weights).all()
    assert weights[1] > 10


def test_logit_reverses_the_sigmoid() -> None:
    values = np.linspace(-8, 8, 9)
    np.testing.assert_allclose(logit(sigmoid(values)), values, atol=1e-9)
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()


def test_the_largest_value_of_other_rows() -> None:
    values = np.random.default_rng(0).random((5, 7))
    expected = [[max(values[other, column] for other in range(5) if other != row) for column in range(7)] for row in range(5)]
    np.testing.assert_array_equal(largest_of_others(values), expected)
    np.testing.assert_array_equal(largest_of_others(values[:1]), np.zeros((1, 7)))


def test_each_label_is_matched_once_by_the_best_detection() -> None:
    ious = np.array([[0.9, 0.8, 0.2], [0.6, 0.7, 0.3]])
    assert match(ious, np.ones((2, 3), np.bool_)).tolist() == [0, 1, -1]
    assert match(ious, np.array([[True, True, True], [False, False, True]])).tolist() == [0, -1, -1]
    assert match(np.zeros((0, 3)), np.zeros((0, 3), np.bool_)).tolist() == [-1, -1, -1]


def test_shares_inside() -> None:
    np.testing.assert_allclose(share_inside(np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 50, 50], [20, 20, 30, 30]])), [[0.5, 0.0]])


def test_moved_boxes_stay_inside_and_lose_overlap() -> None:
    random = np.random.default_rng(0)
    boxes = np.tile(np.array([[100, 100, 180, 160]], np.float32), (200, 1))
    shifted = moved(boxes, (300, 400), random)
    ious = np.diag(iou_matrix(boxes, shifted))
    assert 0.0 < np.median(ious) < 0.7
    assert ious.max() < 0.95
    edge = moved(np.tile(np.array([[0, 0, 4, 4]], np.float32), (200, 1)), (5, 5), random)
    assert edge.min() >= 0
    assert edge.max() <= 5
    assert (edge[:, 2:] > edge[:, :2]).all()


def test_exchanged_labels_are_other_classes() -> None:
    labels = np.array([2, 5, 9] * 50)
    new = exchanged(labels, np.array([2, 5, 9]), np.random.default_rng(0))
    assert (new != labels).all()
    assert set(new.tolist()) == {2, 5, 9}
    np.testing.assert_array_equal(exchanged(labels[:1], np.array([2]), np.random.default_rng(0)), labels[:1])
