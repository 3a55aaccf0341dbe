from __future__ import annotations

from pathlib import Path

import numpy as np

from detkit.training.feature_store import FeatureStore, RegionFeatures


def made(place: int) -> RegionFeatures:
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 2], [8, 8, 9, 9]], np.float32)
    return RegionFeatures(boxes, np.array([1]), np.full((3, 8), place, np.float16), np.array([0, 1]), np.ones((2, 5), np.float16))


class Counted:
    def __init__(self) -> None:
        self.places: list[int] = []

    def __call__(self, place: int) -> RegionFeatures:
        self.places.append(place)
        return made(place)


def test_features_are_made_once_and_come_back_equal(tmp_path: Path) -> None:
    make = Counted()
    store = FeatureStore(tmp_path / "f", "a", 1.0, 3, make)
    assert [int(found.hidden[0, 0]) for found in (*store, *store)] == [0, 1, 2] * 2
    assert make.places == [0, 1, 2]
    again = FeatureStore(tmp_path / "f", "a", 1.0, 3, make)[1]
    assert make.places == [0, 1, 2]
    assert {name: (value.dtype, value.shape) for name, value in vars(again).items()} == {
        name: (value.dtype, value.shape) for name, value in vars(made(1)).items()
    }
    np.testing.assert_allclose(again.overlaps()[:, 0], [1.0, 0.5, 0.0])


def test_what_does_not_fit_the_budget_is_made_again(tmp_path: Path) -> None:
    make = Counted()
    size = sum(value.nbytes for value in vars(made(0)).values())
    store = FeatureStore(tmp_path / "f", "a", 1.5 * size / 1e6, 3, make)
    list(store)
    list(store)
    assert make.places == [0, 1, 2, 1, 2]


def test_other_weights_make_them_anew(tmp_path: Path) -> None:
    make = Counted()
    list(FeatureStore(tmp_path / "f", "a", 1.0, 2, make))
    (tmp_path / "f" / "1.npz.tmp").touch()  # what a killed run leaves
    list(FeatureStore(tmp_path / "f", "b", 1.0, 2, make))
    assert make.places == [0, 1, 0, 1]
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == ["0.npz", "1.npz", "key.txt"]


def test_when_it_is_late_the_images_without_features_are_left_out(tmp_path: Path) -> None:
    make = Counted()
    first = FeatureStore(tmp_path / "f", "a", 1.0, 5, make)
    assert [first[place].labels.tolist() for place in (0, 1)] == [[1]] * 2
    store = FeatureStore(tmp_path / "f", "a", 1.0, 5, make, is_late=lambda: len(make.places) >= 3)
    assert len(list(store)) == len(list(store)) == len(store) == 3
    assert make.places == [0, 1, 2]
    late = FeatureStore(tmp_path / "g", "a", 1.0, 5, make, is_late=lambda: True)
    assert len(list(late)) == 1  # without any there is nothing to fit to
