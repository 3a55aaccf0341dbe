"""Files that two parts name are the same file however they are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detkit.data.checks.shared_images import _same_paths
from detkit.data.checks.statistics import part_statistics
from detkit.data.records import DetectionData, ImageRecord
from detkit.structures import Targets


@pytest.mark.parametrize("name", ["a.png", "./a.png", "sub/../a.png", "{folder}/a.png", "{folder}/./a.png"])
def test_one_file_by_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    others = [str(tmp_path / "b.png"), name.format(folder=tmp_path)]
    assert [pair[:2] for pair in _same_paths([str(tmp_path / "a.png")], others)] == [(0, 1)]
    assert [pair[:2] for pair in _same_paths(others, [str(tmp_path / "a.png")])] == [(1, 0)]
    assert _same_paths([], others) == []


def test_the_most_frequent_sizes(tmp_path: Path) -> None:
    sizes = [(300, 400), (70_000, 2), (300, 400), (2, 70_000)]
    records = [ImageRecord(tmp_path / f"{index}.png", index, size, Targets.empty()) for index, size in enumerate(sizes)]
    found = part_statistics(DetectionData.of("data", ["a"], records))["image_sizes"]
    assert found[0] == [400, 300, 2]
    assert sorted(found[1:]) == [[2, 70_000, 1], [70_000, 2, 1]]
    assert np.sum([row[2] for row in found]) == 4
