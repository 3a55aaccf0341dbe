from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from detkit.models.rcnn import RCNNConfig
from detkit.models.sppnet import SPPNetConfig
from detkit.training.fitting.ridge import Ridge, check_features
from detkit.training.fitting.svm import ABSENT_MARGIN, ExampleBuffer, HardNegatives, SVMConfig, fit_svm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import fitting_memory as fitting
from growth import growths_in

IMAGES, REGIONS, DIMENSIONS = 12, 60, 16


def features() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    positive = random.normal(0.7, 1.0, (40, DIMENSIONS)).astype(np.float32)
    negative = random.normal(0.0, 1.0, (IMAGES, REGIONS, DIMENSIONS)).astype(np.float32)
    scale = np.float32(20 / np.linalg.norm(negative, axis=2).mean())
    return positive * scale, negative * scale


def mine_negatives(config: SVMConfig, passes: int = 1) -> HardNegatives:
    positive, negative = features()
    miner = HardNegatives(positive, config)
    for _ in range(passes):
        miner.new_count = 0
        for index, rows in enumerate(negative):
            miner.add(rows, index * 1000 + np.arange(REGIONS))
        miner.finish()
        if config.exhaustive and not miner.new_count:
            break
    return miner


@pytest.mark.oracle("scikit-learn", "linear SVM with hard negative mining", tolerance="1e-2")
def test_an_exhaustive_search_gives_the_svm_of_all_negatives() -> None:
    config = SVMConfig(exhaustive=True, refit_after=50, tolerance=1e-6)
    positive, negative = features()
    examples = np.concatenate([positive, negative.reshape(-1, DIMENSIONS)])
    labels = np.repeat([1, 0], [len(positive), IMAGES * REGIONS])
    settings = {"C": 1e-3, "intercept_scaling": 10.0, "class_weight": {1: 2.0, 0: 1.0}, "tol": 1e-6, "max_iter": 100_000, "random_state": 1}
    reference = LinearSVC(loss="hinge", **settings).fit(examples, labels)
    miner = mine_negatives(config, 20)
    assert miner.new_count == 0
    assert len(miner.keys) < IMAGES * REGIONS, "easy negatives are not kept"
    np.testing.assert_allclose(examples @ miner.weights + miner.bias, reference.decision_function(examples), atol=1e-2)


def test_one_pass_refits_with_new_negatives_and_removes_easy_ones() -> None:
    miner = mine_negatives(SVMConfig(refit_after=100))
    assert 2 <= miner.fits <= 1 + IMAGES * REGIONS // 100
    assert len(np.unique(miner.keys)) == len(miner.keys) < IMAGES * REGIONS
    again = mine_negatives(SVMConfig(refit_after=100))
    np.testing.assert_array_equal(miner.weights, again.weights)


def test_the_number_of_stored_examples_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[int] = []

    def counted(positive: np.ndarray, negative: np.ndarray, *rest: object) -> object:
        fitted.append(len(positive) + len(negative))
        return fit_svm(positive, negative, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("detkit.training.fitting.svm.fit_svm", counted)
    small = SVMConfig(memory_megabytes=(2 + 24) * DIMENSIONS * 50 / 1e6, refit_after=30, tolerance=1e-2)
    assert small.max_examples(DIMENSIONS) == 50
    assert small.max_examples(DIMENSIONS, 100) == (2 + 24) * 50 // (2 * 100 + 24)
    miner = mine_negatives(small, 2)
    assert len(miner.positive) == 25
    assert miner.fits > 10
    assert max(fitted) <= 50
    least = HardNegatives(features()[0], SVMConfig(memory_megabytes=1e-9, tolerance=1e-2))
    least.add(features()[1][0][:5], np.arange(5))
    least.finish()
    assert (len(least.positive), len(least.negative)) == (1, 0)


@pytest.mark.slow
def test_fitting_respects_its_memory_limit() -> None:
    """Measure the resident memory, liblinear's included, with three times as many examples as fit."""
    svms, regressor = growths_in(Path(__file__).with_name("fitting_memory.py"))
    limit = fitting.CONFIG.max_examples(fitting.LENGTH, fitting.CLASSES)
    assert 3 * limit < fitting.IMAGES * fitting.REGIONS
    assert limit / 2 < fitting.IMAGES * fitting.OBJECTS / fitting.CLASSES
    budget, extra = fitting.CONFIG.memory_megabytes, 16.0  # constant parts: the features of an image, scikit-learn
    assert 0.8 * budget < svms < budget + extra
    sums = 8 * (fitting.REGRESSED + 1) ** 2 / 1e6
    assert sums < regressor < 1.5 * sums + extra


def test_an_example_buffer_keeps_all_rows_or_a_uniform_sample() -> None:
    small, buffer = ExampleBuffer(5, 1), ExampleBuffer(200, 1)
    for number in range(2000):
        buffer.add(np.array([number], np.float32))
    for number in range(4):
        small.add(np.array([number], np.float32))
    assert small.rows[:, 0].tolist() == [0, 1, 2, 3]
    assert len(set(buffer.rows[:, 0].tolist())) == 200
    assert 850 < buffer.rows.astype(np.float64).mean() < 1150


def test_a_class_without_examples_is_never_predicted() -> None:
    none, some = np.zeros((0, 3), np.float32), np.ones((4, 3), np.float32)
    assert fit_svm(none, some, SVMConfig())[1] == ABSENT_MARGIN
    assert fit_svm(some, none, SVMConfig())[1] == -ABSENT_MARGIN
    assert not fit_svm(none, none, SVMConfig())[0].any()


@pytest.mark.parametrize("features", [7, 60, 130])
def test_ridge_matches_its_closed_form(features: int) -> None:
    """Test also with fewer rows than features, and with rows that outnumber them on the way."""
    random = np.random.default_rng(1)
    rows, targets = random.normal(size=(90, features)).astype(np.float32), random.normal(3.0, 1.0, (90, 4)).astype(np.float32)
    ridge = Ridge(features)
    for start in range(0, 90, 25):
        ridge.add(rows[start : start + 25], targets[start : start + 25])
    weights, biases = ridge.solve(1000.0)
    whole = np.concatenate([rows, np.ones((90, 1))], 1).astype(np.float64)
    expected = (
        np.linalg.inv(whole.T @ whole + 1000 * np.eye(features + 1))
        @ whole.T
        @ (targets.astype(np.float64) - targets.astype(np.float64).mean(0))
    )
    np.testing.assert_allclose(np.concatenate([weights, biases[:, None]], 1).T[:-1], expected[:-1], atol=1e-9)
    np.testing.assert_allclose(biases, expected[-1] + targets.mean(0), atol=1e-6)


def test_ridge_without_examples_is_zero() -> None:
    weights, biases = Ridge(3).solve(1.0)
    assert not weights.any()
    assert not biases.any()


def test_too_many_features_are_refused() -> None:
    with pytest.raises(ValueError, match=r'at most 13000 features of a region, got 25088; set model.region.fitted.boxes_from="hidden"'):
        Ridge(25088)


@pytest.mark.parametrize("config", [RCNNConfig(), SPPNetConfig()], ids=lambda config: config.kind)
def test_the_defaults_have_few_enough_features(config: RCNNConfig | SPPNetConfig) -> None:
    with torch.device("meta"):
        detector = config.replace(backbone=config.backbone.replace(weights=None)).build(2)
    fitted = detector.region.fitted
    assert fitted is not None
    check_features(fitted.boxes.in_features)
