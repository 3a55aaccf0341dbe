"""Images with overlapping fields of view are found, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from duplicate_images import dataset, photographs, save

from detkit.arrays import ImageArray
from detkit.curation.duplicates import check_pixels, find_duplicates
from detkit.curation.duplicates.shifted import MAX_SELF_CORRELATION, MOST_PARTNERS, SHIFTS, self_correlations, shifted_pairs


def fields(shifts: list[tuple[int, int]], size: tuple[int, int] = (300, 400)) -> list[ImageArray]:
    """Return regions of a photograph that begin at ``(y, x)``."""
    from skimage import data

    image = data.astronaut()
    return [np.ascontiguousarray(image[y : y + size[0], x : x + size[1]]) for y, x in shifts]


def test_the_shift_of_every_pair_is_found() -> None:
    rng = np.random.default_rng(0)
    scenes = rng.normal(size=(len(SHIFTS), 48, 48)).astype(np.float32)
    first = np.stack([scene[8:40, 8:40] for scene in scenes])
    second = np.stack([scene[8 + y : 40 + y, 8 + x : 40 + x] for scene, (y, x) in zip(scenes, SHIFTS, strict=True)])
    count = len(SHIFTS)
    rows = shifted_pairs(np.concatenate([first, second]), np.arange(2 * count))
    assert sorted(map(tuple, rows.tolist())) == [(index, count + index, index) for index in range(count)]
    groups = np.arange(2 * count)
    groups[count] = 0
    assert (0, count, 0) not in map(tuple, shifted_pairs(np.concatenate([first, second]), groups).tolist())
    far = np.stack([scene[8 : 8 + 32, 16:48] for scene in scenes[:20]])  # by twice as much as is searched
    assert len(shifted_pairs(np.concatenate([first[:20], far]), np.arange(40))) == 0


def test_what_all_images_share_does_not_make_all_pairs_candidates() -> None:
    details = np.repeat(np.random.default_rng(0).normal(size=(1, 32, 32)), 50, 0).astype(np.float32)
    assert len(shifted_pairs(details, np.arange(50))) < 50 * MOST_PARTNERS
    assert len(shifted_pairs(details, np.zeros(50, np.int64))) == 0


def test_what_repeats_itself_is_left_out(tmp_path: Path) -> None:
    y, x = np.mgrid[:32, :32].astype(np.float32)
    wall = np.sin(2 * np.pi * (x + 3 * (y > 16)) / 7) + np.sin(2 * np.pi * y / 5)
    walls = np.stack([wall, np.roll(wall, 2, 1), np.random.default_rng(0).normal(size=(32, 32))])
    walls = (walls - walls.mean(axis=(1, 2), keepdims=True)).astype(np.float32)
    assert (self_correlations(walls) > MAX_SELF_CORRELATION).tolist() == [True, True, False]
    assert len(shifted_pairs(walls, np.arange(3))) == 0


def test_overlapping_fields_are_copies(tmp_path: Path) -> None:
    views = fields([(0, 0), (20, 30), (200, 100), (190, 75)])
    others = list(photographs()[:20])
    paths = [save(tmp_path / f"{number}.jpg", image, quality=85) for number, image in enumerate([*views, *others])]
    found = find_duplicates(dataset({"train": paths}, "views"))
    pairs = {(pair.first, pair.second): pair.text for pair in found.pairs}
    assert pairs == {(0, 1): "overlapping", (2, 3): "overlapping"}
    assert find_duplicates(dataset({"train": paths}, "views")).pairs == found.pairs  # from the cache


def test_a_search_that_is_left_out_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("find", "check"):
        monkeypatch.setattr(f"detkit.curation.duplicates.{module}.MOST_IMAGES", 1)
    paths = [save(tmp_path / f"{number}.jpg", image) for number, image in enumerate(fields([(0, 0), (20, 30)]))]
    (finding,) = check_pixels(dataset({"train": paths}, "many"))
    assert (finding.rule.name, finding.count) == ("uncompared_shifts", 2)
