"""Hashes and the search among them."""

from __future__ import annotations

import numpy as np
import pytest
from duplicate_images import photographs

from detkit.curation.duplicates.hashes import ORIENTATIONS, RADIUS, hash_thumbnails, thumbnail
from detkit.curation.duplicates.search import near_pairs


def every_pair(hashes: np.ndarray) -> set[tuple[int, int, int]]:
    rows = set()
    for orientation in range(len(hashes)):
        for second in range(hashes.shape[1]):
            differing = hashes[0, :second] ^ hashes[orientation, second]
            distances = np.unpackbits(differing[:, None].view(np.uint8), axis=1).sum(axis=1)
            rows |= {(int(first), second, orientation) for first in np.flatnonzero(distances <= RADIUS)}
    return rows


def test_the_search_finds_exactly_the_near_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.curation.duplicates.search._LEAST_CAPACITY", 10)  # so that it is resumed often
    rng = np.random.default_rng(0)
    centers = rng.integers(0, 2**63, 12).astype(np.uint64)
    flips = np.zeros((8, 240), np.uint64)
    for _ in range(9):
        flips ^= np.uint64(1) << rng.integers(0, 64, flips.shape).astype(np.uint64)
    hashes = centers[rng.integers(0, 12, flips.shape)] ^ flips
    found = [tuple(row) for table in near_pairs(hashes) for row in table.tolist()]
    expected = every_pair(hashes)
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert 100 < len(expected) < 8 * 240 * 239 // 4


def test_the_hash_of_a_turned_image_is_that_of_its_orientation() -> None:
    thumbnails = np.stack([thumbnail(image) for image in photographs()[:30]])
    hashes = hash_thumbnails(thumbnails)
    for row, orientation in enumerate(ORIENTATIONS):
        differing = hash_thumbnails(orientation.apply(thumbnails))[0] ^ hashes[row]
        assert not differing.any()


def test_a_symmetric_image_has_the_hash_of_its_mirror_image() -> None:
    half = photographs()[0][:, :96]
    image = np.concatenate([half, half[:, ::-1]], axis=1)
    noise = np.random.default_rng(0).normal(0, 2, image.shape)
    noisy = np.clip(image + noise, 0, 255).astype(np.uint8)
    hashes = hash_thumbnails(np.stack([thumbnail(image), thumbnail(noisy)]))
    assert int(hashes[0, 0] ^ hashes[1, 1]).bit_count() <= 2


def test_words_of_orientations() -> None:
    words = {(o.transposed, o.flipped_rows, o.flipped_columns): o.word for o in ORIENTATIONS}
    assert (words[False, False, False], words[False, False, True]) == ("", "mirrored")
    assert words[False, True, True] == words[True, True, False] == "turned"
    assert words[False, True, False] == "turned and mirrored"
