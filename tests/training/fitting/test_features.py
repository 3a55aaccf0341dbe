from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_detectors import tiny

from detkit.checkpoint.temporary import temporary_path
from detkit.inference import Predictor
from detkit.preprocess import PreprocessConfig
from detkit.structures import Proposals, Targets
from detkit.training.fitting.feature_store import FeatureStore, RegionFeatures, region_features


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
    list(FeatureStore(tmp_path / "f", "b", 1.0, 2, compute))
    assert compute.indices == [0, 1, 0, 1]
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == ["0.npz", "1.npz", "key.txt"]


def test_a_cache_deletes_nothing_but_its_own_features(tmp_path: Path) -> None:
    list(FeatureStore(tmp_path / "f", "a", 1.0, 2, Counter()))
    for name in ("precious.txt", "1.npz.bak", "regions-mine/notes.txt"):
        (tmp_path / "f" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "f" / name).write_text("mine")
    list(FeatureStore(tmp_path / "f", "b", 1.0, 1, Counter()))
    kept = sorted(str(path.relative_to(tmp_path / "f")) for path in (tmp_path / "f").rglob("*") if path.is_file())
    assert kept == ["0.npz", "1.npz.bak", "key.txt", "precious.txt", "regions-mine/notes.txt"]


@pytest.mark.parametrize("mark", [None, "notes of mine"])
def test_a_folder_of_other_files_is_refused_and_left_as_it_is(tmp_path: Path, mark: str | None) -> None:
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "0.npz").write_text("mine")
    if mark:
        (tmp_path / "features" / "key.txt").write_text(mark)
    with pytest.raises(ValueError, match=r"features: expected no such folder or the features of this run, got files of another origin"):
        FeatureStore(tmp_path / "features", "a", 1.0, 2, Counter())
    assert (tmp_path / "features" / "0.npz").read_text() == "mine"


def test_what_killed_runs_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    list(FeatureStore(folder, "a", 1.0, 2, Counter()))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    own = temporary_path(folder / "1.npz")
    own.touch()
    own.with_name(own.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-")).touch()
    (folder / "regions-x").mkdir()
    (folder / "regions-x" / "3.features").touch()
    FeatureStore(folder, "a", 1.0, 2, Counter())
    assert sorted(path.name for path in folder.iterdir()) == sorted([own.name, "0.npz", "1.npz", "key.txt"])


def test_damaged_features_are_computed_again(tmp_path: Path) -> None:
    compute = Counter()
    store = FeatureStore(tmp_path / "f", "a", 1.0, 2, compute)
    list(store)
    content = (tmp_path / "f" / "1.npz").read_bytes()
    for damaged in (b"", content[:100], content[:-30], b"x" * 100):
        (tmp_path / "f" / "1.npz").write_bytes(damaged)
        assert int(store[1].hidden[0, 0]) == 1
    assert compute.indices == [0, 1, 1, 1, 1, 1]


def test_a_full_disk_costs_only_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    compute = Counter()
    store = FeatureStore(tmp_path / "f", "a", 1.0, 3, compute)

    def full(handle: object, **arrays: object) -> None:
        with Path("/dev/full").open("wb", buffering=0) as device:
            device.write(b"0")

    monkeypatch.setattr(np, "savez", full)
    assert [int(regions.hidden[0, 0]) for regions in store] == [0, 1, 2]
    assert [message for message in caplog.messages if "no space left on the disk" in message] == [caplog.messages[0]]
    assert "0.npz: could not be written" in caplog.messages[0]


def test_images_without_features_are_skipped_when_the_budget_is_spent(tmp_path: Path) -> None:
    compute = Counter()
    first = FeatureStore(tmp_path / "f", "a", 1.0, 5, compute)
    assert [first[index].labels.tolist() for index in (0, 1)] == [[1]] * 2
    store = FeatureStore(tmp_path / "f", "a", 1.0, 5, compute, is_budget_spent=lambda: len(compute.indices) >= 3)
    assert len(list(store)) == len(list(store)) == len(store) == 3
    assert compute.indices == [0, 1, 2]
    late = FeatureStore(tmp_path / "g", "a", 1.0, 5, compute, is_budget_spent=lambda: True)
    assert len(list(late)) == 1  # at least one image is needed for a fit


@pytest.mark.parametrize("kind", ["sppnet", "rcnn"])
def test_no_features_are_computed_of_proposals_in_ignore_regions(kind: str) -> None:
    """Neither the SVMs' hard negatives nor the box regressors get them; a proposal on an object counts wherever it is."""
    detector = tiny(kind).build(3).eval()
    boxes = torch.tensor([[0.0, 0.0, 40.0, 40.0], [12.0, 12.0, 60.0, 70.0], [70.0, 0.0, 128.0, 96.0], [60.0, 50.0, 128.0, 96.0]])
    preprocess = PreprocessConfig(short_side=96, long_side=128)
    names = ("a", "b", "c")
    predictor = Predictor(detector, preprocess, names, "cpu", "fp32", reference=True, proposer=lambda _: Proposals(boxes, torch.ones(4)))
    truth = Targets.of(torch.tensor([[10.0, 12.0, 60.0, 70.0]]), torch.tensor([1]))
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)

    def proposals_with(region: list[float], rows: Targets) -> list[int]:
        crowd = Targets.of(torch.tensor([region]), torch.tensor([0]), is_crowd=torch.tensor([True]))
        result = region_features(predictor, image, Targets.cat([crowd, rows]))
        assert result.labels.tolist() == rows.labels.tolist()
        assert len(result.hidden) == len(result.boxes)
        kept = torch.from_numpy(result.boxes[len(rows) :])
        return [int((boxes == row).all(1).nonzero()) for row in kept]

    assert proposals_with([126.0, 94.0, 128.0, 96.0], truth) == [0, 1, 2, 3]
    assert proposals_with([64.0, 0.0, 128.0, 96.0], truth) == [0, 1]
    assert proposals_with([0.0, 0.0, 128.0, 96.0], truth) == [1]
    assert proposals_with([0.0, 0.0, 128.0, 96.0], Targets.empty()) == []
