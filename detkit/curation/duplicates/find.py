"""Search for copies: by bytes, by pixels, and by hashes and shifted thumbnails whose images are then compared."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detkit.arrays import Flags, Floats, ImageArray, Integers
from detkit.curation.duplicates.cache import KEY_BYTES, PixelCache
from detkit.curation.duplicates.groups import Duplicates, Pair, Relation, Sets
from detkit.curation.duplicates.hashes import ORIENTATIONS, THUMBNAIL, hash_thumbnails, shrink
from detkit.curation.duplicates.images import DistinctImages, Source
from detkit.curation.duplicates.rows import RowFile
from detkit.curation.duplicates.scan import Progress, Scan, scan
from detkit.curation.duplicates.search import near_pairs
from detkit.curation.duplicates.shifted import MOST_IMAGES, SHIFTS, shifted_pairs
from detkit.curation.duplicates.verify import (
    MIN_THUMBNAIL_CORRELATION,
    NO_AGREEMENT,
    SIDE,
    Agreement,
    compare,
    has_details,
    thumbnail_details,
)
from detkit.curation.parts import LabeledParts
from detkit.data.media.images import read_image

_PAIR_FIELDS: list[Any] = [("keys", "u1", (2, KEY_BYTES)), ("orientation", "u1"), ("correlation", "<f4"), ("agreeing", "<f4")]
_KEPT_IMAGES = 4096
"""Small images that are kept for the next comparisons, 16 KB each."""
_BATCH = 256
"""Pairs that are compared at a time, before those that became members of one group are skipped."""
_THUMBNAILS = 8192
"""Pairs whose thumbnails are compared at a time."""


def find_duplicates(
    parts: LabeledParts, *, workers: int | None = None, progress: Progress | None = None, cache: PixelCache | None = None
) -> Duplicates:
    """Find all copies among the images of all parts.

    Copies are images of the same bytes or pixels, and images recompressed, resized, slightly cropped or recolored, mirrored or turned by
    right angles. Images that show details in less than a quarter of their area are copies only if their pixels are the same. Among up to
    :data:`~detkit.curation.duplicates.shifted.MOST_IMAGES` images, those count as copies, too, that show the same objects a bit shifted.

    Args:
        parts: The data set.
        workers: Number of threads; None: one for each core.
        progress: Called after every image.
        cache: Where results are stored; None: in the user's cache, see :class:`PixelCache`.
    """
    images = DistinctImages.of(parts)
    store = PixelCache.of(parts.name) if cache is None else cache
    scanned = scan(images.sources, workers=workers, progress=progress, cache=store)
    sets = Sets(len(images))
    pairs = _exact_pairs(scanned.contents, Relation.SAME_BYTES, sets)
    same_bytes = sets.all().copy()
    pairs += _exact_pairs(scanned.pixels, Relation.SAME_PIXELS, sets)
    same_pixels = sets.all().copy()
    with RowFile(store.pairs, _PAIR_FIELDS) as file:
        pairs += _Comparison(images.sources, scanned, file, workers or os.cpu_count() or 1).near_pairs(sets)
    store.clean_up()
    return Duplicates(images, tuple(pairs), same_bytes, same_pixels, sets.all(), scanned.broken)


def _exact_pairs(digests: NDArray[np.uint8], relation: Relation, sets: Sets) -> list[Pair]:
    """Return the pairs of equal digests, except of images in one set already, and join them."""
    pairs = []
    first: dict[bytes, int] = {}
    for index in np.flatnonzero(digests.any(axis=1)).tolist():
        other = first.setdefault(digests[index].tobytes(), index)
        if sets.find(other) != sets.find(index):
            pairs.append(Pair(other, index, relation))
            sets.join(other, index)
    return pairs


class _Comparison:
    """Comparison of images with near hashes or overlapping fields of view, of which one stands for all of the same pixels.

    A pair is two images and how the second is laid on the first: a number of :data:`ORIENTATIONS`, followed by those of :data:`SHIFTS`.
    """

    def __init__(self, sources: tuple[Source, ...], scanned: Scan, file: RowFile, workers: int) -> None:
        self._sources, self._scanned, self._file, self._workers = sources, scanned, file, workers
        self._known = {(row["keys"].tobytes(), int(row["orientation"])): _agreement(row) for row in file.read()}
        self._small = lru_cache(_KEPT_IMAGES)(self._read_small)

    def near_pairs(self, sets: Sets) -> list[Pair]:
        """Return the pairs that are copies or overlap, and join them; pairs of one group already are not compared."""
        thumbnails = self._scanned.thumbnails
        whole = self._scanned.sizes.any(axis=1) & has_details(thumbnails) & (sets.all() == np.arange(len(self._sources)))
        compared = np.flatnonzero(whole)
        pairs: list[Pair] = []
        with ThreadPoolExecutor(self._workers, thread_name_prefix="detkit-pairs") as pool:
            for table in near_pairs(hash_thumbnails(thumbnails[compared])):
                rows = np.column_stack([compared[table[:, 0]], compared[table[:, 1]], table[:, 2]])
                pairs += self._copies(self._similar(rows[_are_apart(rows, sets)]), sets, pool)
            if len(self._sources) <= MOST_IMAGES:
                table = shifted_pairs(thumbnail_details(thumbnails[compared]), sets.all()[compared])
                rows = np.column_stack([compared[table[:, 0]], compared[table[:, 1]], len(ORIENTATIONS) + table[:, 2]])
                pairs += self._copies(rows, sets, pool)
        return pairs

    def _copies(self, rows: Integers, sets: Sets, pool: ThreadPoolExecutor) -> list[Pair]:
        """Compare the images of pairs, and return and join those that are copies."""
        pairs = []
        for batch in _batches(rows):
            for row, agreement in self._agreements(batch[_are_apart(batch, sets)], pool):
                if agreement.is_copy and sets.find(row[0]) != sets.find(row[1]):
                    sets.join(row[0], row[1])
                    pairs.append(self._pair(*row))
        return pairs

    def _similar(self, rows: Integers) -> Integers:
        """Return the pairs whose thumbnails show the same details, best first."""
        correlations = [self._thumbnail_correlations(rows[start : start + _THUMBNAILS]) for start in range(0, len(rows), _THUMBNAILS)]
        values = np.concatenate(correlations) if correlations else np.zeros(0, np.float32)
        order = np.argsort(-values, kind="stable")
        return rows[order[values[order] >= MIN_THUMBNAIL_CORRELATION]]

    def _thumbnail_correlations(self, rows: Integers) -> Floats:
        images, places = np.unique(rows[:, :2], return_inverse=True)
        details = thumbnail_details(self._scanned.thumbnails[images])
        first, second = places.reshape(-1, 2).T
        values = np.zeros(len(rows), np.float32)
        for number, orientation in enumerate(ORIENTATIONS):
            chosen = np.flatnonzero(rows[:, 2] == number)
            turned = orientation.apply(details[second[chosen]])
            values[chosen] = (details[first[chosen]] * turned).sum(axis=(1, 2))
        return values

    def _agreements(self, rows: Integers, pool: ThreadPoolExecutor) -> list[tuple[tuple[int, int, int], Agreement]]:
        """Compare pairs that were not compared before."""
        pairs = [(first, second, orientation) for first, second, orientation in rows.tolist()]
        keys = [(self._scanned.keys[first] + self._scanned.keys[second], orientation) for first, second, orientation in pairs]
        new = [number for number, key in enumerate(keys) if key not in self._known]
        stored = self._file.empty(len(new))
        for row, number, agreement in zip(stored, new, pool.map(self._compare, [pairs[number] for number in new]), strict=True):
            self._known[keys[number]] = agreement
            row["keys"], row["orientation"] = np.frombuffer(keys[number][0], np.uint8).reshape(2, KEY_BYTES), keys[number][1]
            row["correlation"], row["agreeing"] = agreement.correlation, agreement.agreeing
        self._file.append(stored)
        return [(pair, self._known[key]) for pair, key in zip(pairs, keys, strict=True)]

    def _compare(self, pair: tuple[int, int, int]) -> Agreement:
        first, second = self._small(pair[0]), self._small(pair[1])
        if first is None or second is None:  # removed or damaged meanwhile
            return NO_AGREEMENT
        if pair[2] < len(ORIENTATIONS):
            return compare(first, ORIENTATIONS[pair[2]].apply(second))
        y, x = SHIFTS[pair[2] - len(ORIENTATIONS)]
        return compare(first, second, (y * SIDE // THUMBNAIL, x * SIDE // THUMBNAIL))

    def _read_small(self, index: int) -> ImageArray | None:
        path, window = self._sources[index]
        try:
            image = read_image(path)
        except (OSError, ValueError):
            return None
        if window is not None:
            image = np.ascontiguousarray(image[window.y1 : window.y2, window.x1 : window.x2])
        return shrink(image, SIDE)

    def _pair(self, first: int, second: int, orientation: int) -> Pair:
        shifted = orientation >= len(ORIENTATIONS)
        turn = ORIENTATIONS[0 if shifted else orientation]
        sizes = self._scanned.sizes[[first, second]].tolist()
        resized = sizes[0] != (sizes[1][::-1] if turn.transposed else sizes[1])
        return Pair(first, second, Relation.NEAR, turn.word, resized, shifted)


def _agreement(row: Any) -> Agreement:
    return Agreement(float(row["correlation"]), float(row["agreeing"]))


def _are_apart(rows: Integers, sets: Sets) -> Flags:
    """Return whether the two images of each pair are in different groups."""
    roots = sets.all()
    return np.asarray(roots[rows[:, 0]] != roots[rows[:, 1]])


def _batches(rows: Integers) -> Iterable[Integers]:
    return (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))
