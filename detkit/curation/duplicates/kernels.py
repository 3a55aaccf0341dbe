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
Place = tuple[int, int, int, int]


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
    queries: Keys, images: Keys, starts: Keys, hashes: tuple[Hashes, Hashes], keys: Keys, masks: Keys, place: Place, found: Integers
) -> tuple[int, int]:
    """Fill ``found`` with the pairs that are near in one band and no earlier one, as long as the pairs of one more image are sure to fit.

    Images are searched in the order of their keys, in which the tables that they read are in the processor's cache.

    Args:
        queries: ``(N,)`` int32, the images in the order of their keys in this band.
        images: ``(N,)`` int32, the same in this band and orientation.
        starts: ``(65537,)`` int32, where each key begins in ``images``.
        hashes: The hashes of the images in the order of ``queries``, and those in this orientation in the order of ``images``.
        keys: ``(4, 8, N)`` int32, the bands of all hashes.
        masks: The differences of near keys.
        place: The band, the orientation, the position in ``queries`` to begin with, and the number of bits in which hashes may differ.
        found: ``(M, 3)``, is filled.

    Returns:
        The number of pairs, and the first position that was not searched.
    """
    band, orientation, position, radius = place
    length, count = 0, len(queries)
    while position < count and length + count <= len(found):
        query, own = queries[position], hashes[0][position]
        key = keys[band, 0, query]
        for mask in masks:
            near = key ^ mask
            for index in range(starts[near], starts[near + 1]):
                other = images[index]
                if other <= query or ones(own ^ hashes[1][index]) > radius:
                    continue
                if not is_repeated(keys, band, orientation, query, other):
                    found[length, 0], found[length, 1], found[length, 2] = query, other, orientation
                    length += 1
        position += 1
    return length, position
