from __future__ import annotations

from pathlib import Path

import numpy as np

from detkit.training.fitting.feature_store import FeatureStore, RegionFeatures


def features(index: int) -> RegionFeatures:
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 2], [8, 8, 9, 9]], np.float32)
    return RegionFeatures(boxes, np.array([1]), np.full((3, 8), index, np.float16), np.array([0, 1]), np.ones((2, 5), np.float16))


class Counter:
    def __init__(self) -> None:
        self.indices: list[int] = []

    def __call__(self, index: int) -> RegionFeatures:
        self.indices.append(index)
        return features(index)


def test_features_are_computed_once_and_loaded_unchanged(tmp_path: Path) -> None:
    compute = Counter()
    store = FeatureStore(tmp_path / "f", "a", 1.0, 3, compute)
    assert [int(regions.hidden[0, 0]) for regions in (*store, *store)] == [0, 1, 2] * 2
    assert compute.indices == [0, 1, 2]
    again = FeatureStore(tmp_path / "f", "a", 1.0, 3, compute)[1]
    assert compute.indices == [0, 1, 2]
    assert {name: (value.dtype, value.shape) for name, value in vars(again).items()} == {
        name: (value.dtype, value.shape) for name, value in vars(features(1)).items()
    }
    np.testing.assert_allclose(again.ious()[:, 0], [1.0, 0.5, 0.0])


def test_features_above_the_size_limit_are_recomputed(tmp_path: Path) -> None:
    compute = Counter()
    size = sum(value.nbytes for value in vars(features(0)).values())
    store = FeatureStore(tmp_path / "f", "a", 1.5 * size / 1e6, 3, compute)
    list(store)
    list(store)
    assert compute.indices == [0, 1, 2, 1, 2]


def test_features_are_recomputed_for_other_weights(tmp_path: Path) -> None:
    compute = Counter()
    list(FeatureStore(tmp_path / "f", "a", 1.0, 2, compute))
    (tmp_path / "f" / "1.npz.tmp").touch()  # left by a killed run
    list(FeatureStore(tmp_path / "f", "b", 1.0, 2, compute))
    assert compute.indices == [0, 1, 0, 1]
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == ["0.npz", "1.npz", "key.txt"]


def test_images_without_features_are_skipped_when_the_budget_is_spent(tmp_path: Path) -> None:
    compute = Counter()
    first = FeatureStore(tmp_path / "f", "a", 1.0, 5, compute)
    assert [first[index].labels.tolist() for index in (0, 1)] == [[1]] * 2
    store = FeatureStore(tmp_path / "f", "a", 1.0, 5, compute, is_budget_spent=lambda: len(compute.indices) >= 3)
    assert len(list(store)) == len(list(store)) == len(store) == 3
    assert compute.indices == [0, 1, 2]
    late = FeatureStore(tmp_path / "g", "a", 1.0, 5, compute, is_budget_spent=lambda: True)
    assert len(list(late)) == 1  # at least one image is needed for a fit
