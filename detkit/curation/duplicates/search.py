"""All pairs of hashes within a radius, without comparing every pair: multi-index hashing.

Norouzi, Punjani and Fleet, Fast Exact Search in Hamming Space with Multi-Index Hashing, 2012, section 3: of two hashes of 64 bits that
differ in at most 11, one of the four bands of 16 bits differs in at most 2. So each hash is looked up in four tables under the 137 keys
near its band. The result is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

import numpy as np

from detkit.arrays import Integers
from detkit.curation.duplicates.hashes import RADIUS, Hashes

_BANDS, _WIDTH = 4, 16
_KEYS = 1 << _WIDTH
_LEAST_CAPACITY = 1 << 20


def near_pairs(hashes: Hashes) -> Iterator[Integers]:
    """Yield the pairs of images with near hashes, in tables of rows ``first, second, orientation`` with ``first < second``.

    Args:
        hashes: ``(8, N)`` hashes of every image in every orientation; the second image of a pair, oriented so, resembles the first.

    Yields:
        ``(M, 3)`` int64, a few million rows at most at a time; each pair occurs once for each orientation in which it is near.
    """
    from detkit.curation.duplicates.kernels import search

    assert RADIUS // _BANDS == 2  # the distance of the nearest bands, for which the masks are made
    masks = np.array([sum(1 << bit for bit in bits) for count in range(3) for bits in combinations(range(_WIDTH), count)], np.int32)
    count = hashes.shape[1]
    keys = np.stack([(hashes >> np.uint64(_WIDTH * band)).astype(np.int64) & (_KEYS - 1) for band in range(_BANDS)]).astype(np.int32)
    found = np.empty((max(_LEAST_CAPACITY, count), 3), np.int64)
    queries = [np.argsort(keys[band, 0], kind="stable").astype(np.int32) for band in range(_BANDS)]
    for orientation, band in product(range(len(hashes)), range(_BANDS)):
        table = keys[band, orientation]
        images = np.argsort(table, kind="stable").astype(np.int32)
        starts = np.concatenate([[0], np.cumsum(np.bincount(table, minlength=_KEYS))]).astype(np.int32)
        ordered = hashes[0][queries[band]], hashes[orientation][images]
        position = 0
        while position < count:
            place = band, orientation, position, RADIUS
            length, position = search(queries[band], images, starts, ordered, keys, masks, place, found)
            if length:
                yield found[:length].copy()
