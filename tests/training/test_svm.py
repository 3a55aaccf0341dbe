from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from detkit.models.rcnn import RCNNConfig
from detkit.models.sppnet import SPPNetConfig
from detkit.training.ridge import Ridge, check_features
from detkit.training.svm import ABSENT, ExampleBuffer, HardNegatives, SVMConfig, fit_svm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
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


def searched(config: SVMConfig, passes: int = 1) -> HardNegatives:
    positive, negative = features()
    miner = HardNegatives(positive, config)
    for _ in range(passes):
        miner.found = 0
        for place, rows in enumerate(negative):
            miner.look(rows, place * 1000 + np.arange(REGIONS))
        miner.finish()
        if config.exhaustive and not miner.found:
            break
    return miner


def test_an_exhaustive_search_gives_the_svm_of_all_negatives() -> None:
    config = SVMConfig(exhaustive=True, refit_after=50, tolerance=1e-6)
    positive, negative = features()
    every = np.concatenate([positive, negative.reshape(-1, DIMENSIONS)])
    labels = np.repeat([1, 0], [len(positive), IMAGES * REGIONS])
    numbers = {"C": 1e-3, "intercept_scaling": 10.0, "class_weight": {1: 2.0, 0: 1.0}, "tol": 1e-6, "max_iter": 100_000, "random_state": 1}
    reference = LinearSVC(loss="hinge", **numbers).fit(every, labels)
    miner = searched(config, 20)
    assert miner.found == 0
    assert len(miner.keys) < IMAGES * REGIONS, "easy negatives are not kept"
    np.testing.assert_allclose(every @ miner.weights + miner.bias, reference.decision_function(every), atol=1e-2)


def test_one_pass_refits_as_negatives_come_in_and_forgets_easy_ones() -> None:
    miner = searched(SVMConfig(refit_after=100))
    assert 2 <= miner.fits <= 1 + IMAGES * REGIONS // 100
    assert len(np.unique(miner.keys)) == len(miner.keys) < IMAGES * REGIONS
    again = searched(SVMConfig(refit_after=100))
    np.testing.assert_array_equal(miner.weights, again.weights)


def test_what_a_class_keeps_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[int] = []

    def counted(positive: np.ndarray, negative: np.ndarray, *rest: object) -> object:
        fitted.append(len(positive) + len(negative))
        return fit_svm(positive, negative, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("detkit.training.svm.fit_svm", counted)
    small = SVMConfig(memory_megabytes=(2 + 24) * DIMENSIONS * 50 / 1e6, refit_after=30, tolerance=1e-2)
    assert small.most_examples(DIMENSIONS) == 50
    assert small.most_examples(DIMENSIONS, 100) == (2 + 24) * 50 // (2 * 100 + 24)
    miner = searched(small, 2)
    assert len(miner.positive) == 25
    assert miner.fits > 10
    assert max(fitted) <= 50
    least = HardNegatives(features()[0], SVMConfig(memory_megabytes=1e-9, tolerance=1e-2))
    least.look(features()[1][0][:5], np.arange(5))
    least.finish()
    assert (len(least.positive), len(least.negative)) == (1, 0)


def test_fitting_takes_no_more_memory_than_it_may() -> None:
    """Resident memory, in which liblinear's is counted too, with three times as many examples as fit."""
    svms, regressor = growths_in(Path(__file__).with_name("fitting_memory.py"))
    most = fitting.CONFIG.most_examples(fitting.LENGTH, fitting.CLASSES)
    assert 3 * most < fitting.IMAGES * fitting.REGIONS
    assert most / 2 < fitting.IMAGES * fitting.OBJECTS / fitting.CLASSES
    budget, beside = fitting.CONFIG.memory_megabytes, 16.0  # what does not grow: the features of a image, scikit-learn
    assert 0.8 * budget < svms < budget + beside
    sums = 8 * (fitting.REGRESSED + 1) ** 2 / 1e6
    assert sums < regressor < 1.5 * sums + beside


def test_a_lot_keeps_all_or_a_fair_share() -> None:
    whole, lot = ExampleBuffer(5, 1), ExampleBuffer(200, 1)
    for number in range(2000):
        lot.add(np.array([number], np.float32))
    for number in range(4):
        whole.add(np.array([number], np.float32))
    assert whole.rows[:, 0].tolist() == [0, 1, 2, 3]
    assert len(set(lot.rows[:, 0].tolist())) == 200
    assert 850 < lot.rows.astype(np.float64).mean() < 1150


def test_a_class_without_examples_is_never_seen() -> None:
    none, some = np.zeros((0, 3), np.float32), np.ones((4, 3), np.float32)
    assert fit_svm(none, some, SVMConfig())[1] == ABSENT
    assert fit_svm(some, none, SVMConfig())[1] == -ABSENT
    assert not fit_svm(none, none, SVMConfig())[0].any()


@pytest.mark.parametrize("features", [7, 60, 130])
def test_ridge_is_its_closed_form(features: int) -> None:
    """Also with fewer rows than features, and where the rows outgrow them on the way."""
    random = np.random.default_rng(1)
    rows, wanted = random.normal(size=(90, features)).astype(np.float32), random.normal(3.0, 1.0, (90, 4)).astype(np.float32)
    ridge = Ridge(features)
    for start in range(0, 90, 25):
        ridge.add(rows[start : start + 25], wanted[start : start + 25])
    weights, biases = ridge.solve(1000.0)
    whole = np.concatenate([rows, np.ones((90, 1))], 1).astype(np.float64)
    expected = (
        np.linalg.inv(whole.T @ whole + 1000 * np.eye(features + 1))
        @ whole.T
        @ (wanted.astype(np.float64) - wanted.astype(np.float64).mean(0))
    )
    np.testing.assert_allclose(np.concatenate([weights, biases[:, None]], 1).T[:-1], expected[:-1], atol=1e-9)
    np.testing.assert_allclose(biases, expected[-1] + wanted.mean(0), atol=1e-6)


def test_ridge_without_examples_moves_nothing() -> None:
    weights, biases = Ridge(3).solve(1.0)
    assert not weights.any()
    assert not biases.any()


def test_too_many_features_are_told() -> None:
    with pytest.raises(ValueError, match=r'at most 13000 features of a region, got 25088; set model.region.fitted.boxes_from="hidden"'):
        Ridge(25088)


@pytest.mark.parametrize("config", [RCNNConfig(), SPPNetConfig()], ids=lambda config: config.kind)
def test_the_defaults_have_few_enough_features(config: RCNNConfig | SPPNetConfig) -> None:
    with torch.device("meta"):
        detector = config.replace(backbone=config.backbone.replace(weights=None)).build(2)
    fitted = detector.region.fitted
    assert fitted is not None
    check_features(fitted.boxes.in_features)
