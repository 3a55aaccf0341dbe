"""Search for images with overlapping fields of view: the details of their thumbnails agree once one of them is shifted.

Neighboring fields of a microscope slide, or two frames of a panning camera, show the same objects, and their hashes differ in too many
bits. So every pair of thumbnails is correlated at every small shift, as products of matrices: 3 seconds of a core for 1,000 images, 80
for 5,000. Images that repeat themselves, such as walls of brick, lie well on one another at many shifts, and are left out.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from detkit.arrays import Floats, Integers
from detkit.curation.duplicates.hashes import THUMBNAIL

MOST_IMAGES = 5_000
"""Images up to which all pairs are correlated; their number grows with the square."""
MAX_SHIFT = 4
"""Largest shift in each direction, in pixels of a thumbnail: an eighth of its side."""
MIN_CORRELATION = 0.6
"""Least correlation of the details where shifted thumbnails overlap; one pair in 2,000 of different photographs reaches it."""
MAX_SELF_CORRELATION = 0.6
"""Correlation of the details of a thumbnail with itself, shifted, above which it repeats itself: regions of a brick wall that were taken
for overlapping had at least .71, and overlapping micrographs at most .51."""
MOST_PARTNERS = 4
"""Pairs of an image with later ones that are returned, so that a frame that all images share does not make candidates of all pairs."""
SHIFTS = tuple(product(range(-MAX_SHIFT, MAX_SHIFT + 1), repeat=2))
"""All shifts ``(y, x)``, in pixels of a thumbnail: what is at ``(r, c)`` of the second image is at ``(r + y, c + x)`` of the first."""
_BLOCK = 512


def shifted_pairs(details: Floats, groups: Integers) -> Integers:
    """Return the pairs whose details correlate at a shift, in rows ``first, second, shift`` with ``first < second``.

    Args:
        details: ``(N, S, S)`` details of thumbnails, of mean 0.
        groups: ``(N,)``; pairs of one group are left out.

    Returns:
        ``(M, 3)`` int64, the best pairs first, each with the index in :data:`SHIFTS` at which it correlates best.
    """
    tables, scores = [], []
    for start in range(0, len(details), _BLOCK):
        best, shifts = _best_shifts(details[start : start + _BLOCK], details[start:])
        rows = np.arange(len(best))
        best[groups[start + rows, None] == groups[None, start:]] = 0
        best[rows[:, None] >= np.arange(best.shape[1])] = 0
        partners = np.argsort(-best, axis=1, kind="stable")[:, :MOST_PARTNERS]
        values = np.take_along_axis(best, partners, 1)
        first, number = np.nonzero(values >= MIN_CORRELATION)
        second = partners[first, number]
        tables.append(np.column_stack([first + start, second + start, shifts[first, second]]).astype(np.int64))
        scores.append(values[first, number])
    if not tables:
        return np.zeros((0, 3), np.int64)
    table = np.concatenate(tables)[np.argsort(-np.concatenate(scores), kind="stable")]
    images, places = np.unique(table[:, :2], return_inverse=True)
    return np.asarray(table[(self_correlations(details[images]) <= MAX_SELF_CORRELATION)[places.reshape(-1, 2)].all(axis=1)])


def self_correlations(details: Floats) -> Floats:
    """Return the largest correlation of the details of each thumbnail with themselves, shifted by an eighth to a half of its side."""
    best = np.zeros(len(details), np.float32)
    farthest = THUMBNAIL // 2
    for y, x in product(range(-farthest, farthest + 1), range(farthest + 1)):
        if max(abs(y), x) >= MAX_SHIFT:
            np.maximum(best, (_window(details, y, x) * _window(details, -y, -x)).sum(axis=1), out=best)
    return best


def _best_shifts(first: Floats, second: Floats) -> tuple[Floats, Integers]:
    """Return the largest correlation of every pair over all shifts, and the index of the shift, both ``(len(first), len(second))``."""
    best = np.zeros((len(first), len(second)), np.float32)
    shifts = np.zeros(best.shape, np.int64)
    for number, (y, x) in enumerate(SHIFTS):
        values = _window(first, y, x) @ _window(second, -y, -x).T
        better = values > best
        np.copyto(best, values, where=better)
        np.copyto(shifts, number, where=better)
    return best, shifts


def _window(details: Floats, y: int, x: int) -> Floats:
    """Return the part of each thumbnail that overlaps with another one at a shift, as rows of length 1."""
    part = details[:, max(y, 0) : THUMBNAIL + min(y, 0), max(x, 0) : THUMBNAIL + min(x, 0)]
    part = part.reshape(len(part), part.shape[1] * part.shape[2])
    return np.asarray(part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-6), np.float32)
