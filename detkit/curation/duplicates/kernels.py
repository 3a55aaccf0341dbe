"""The loop of the search, compiled with numba.

Importing this module imports numba (a third of a second). Compilation takes seconds once; later processes use numba's disk cache.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detkit.accelerate.threads import compiled
from detkit.arrays import Integers
from detkit.curation.duplicates.hashes import Hashes

Keys = NDArray[np.int32]


@compiled(fastmath=False)
def ones(value: np.uint64) -> int:
    """Return the number of ones of 64 bits."""
    value = value - ((value >> np.uint64(1)) & np.uint64(0x5555555555555555))
    value = (value & np.uint64(0x3333333333333333)) + ((value >> np.uint64(2)) & np.uint64(0x3333333333333333))
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((value * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled(fastmath=False)
def is_repeated(keys: Keys, band: int, orientation: int, first: int, second: int) -> bool:
    """Return whether an earlier band of the pair is near, too, so that the pair was found there."""
    for earlier in range(band):  # noqa: SIM110, numba compiles no generators
        if ones(np.uint64(keys[earlier, 0, first] ^ keys[earlier, orientation, second])) <= 2:
            return True
    return False


@compiled(fastmath=False)
def search(
    hashes: Hashes, keys: Keys, order: Keys, starts: Keys, masks: Keys, place: tuple[int, int], query: int, radius: int, found: Integers
) -> tuple[int, int]:
    """Fill ``found`` with the pairs that are near in one band and no earlier one, as long as the pairs of one more image are sure to fit.

    Args:
        hashes: ``(8, N)``.
        keys: ``(4, 8, N)`` int32, the bands of the hashes.
        order: ``(N,)`` int32, the images in the order of their keys in this band and orientation.
        starts: ``(65537,)`` int32, where each key begins in ``order``.
        masks: The differences of near keys.
        place: The band and the orientation.
        query: The image to begin with.
        radius: Number of bits in which hashes may differ.
        found: ``(M, 3)``, is filled.

    Returns:
        The number of pairs, and the first image that was not searched.
    """
    band, orientation = place
    length, count = 0, hashes.shape[1]
    while query < count and length + count - 1 - query <= len(found):
        own, key = hashes[0, query], keys[band, 0, query]
        for mask in masks:
            near = key ^ mask
            for index in range(starts[near], starts[near + 1]):
                other = order[index]
                if other <= query or ones(own ^ hashes[orientation, other]) > radius:
                    continue
                if not is_repeated(keys, band, orientation, query, other):
                    found[length, 0], found[length, 1], found[length, 2] = query, other, orientation
                    length += 1
        query += 1
    return length, query
