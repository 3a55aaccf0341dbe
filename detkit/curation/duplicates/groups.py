"""Pairs of copies, the groups that they form, and the leaks among them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from detkit.arrays import Integers
from detkit.curation.duplicates.images import DistinctImages
from detkit.curation.duplicates.scan import BrokenImage


class Relation(Enum):
    """How two images are related; the value is the word for people."""

    SAME_FILE = "the same file"
    SAME_BYTES = "the same bytes"
    SAME_PIXELS = "the same pixels"
    NEAR = "nearly the same pixels"


@dataclass(frozen=True)
class Pair:
    """Two images that are copies, as indices into the distinct images.

    Attributes:
        first: One image.
        second: The other one.
        relation: How they are related.
        turned: Word for the orientation of the second one, such as ``mirrored``; empty if it is that of the first.
        resized: Whether their sizes differ.
        shifted: Whether they may only overlap.
    """

    first: int
    second: int
    relation: Relation
    turned: str = ""
    resized: bool = False
    shifted: bool = False

    @property
    def text(self) -> str:
        """How they are related, for people: ``the same bytes``, ``recompressed or edited``, ``mirrored, resized``."""
        if self.relation is not Relation.NEAR:
            return str(self.relation.value)
        words = [self.turned] * bool(self.turned) + ["resized"] * self.resized + ["overlapping"] * self.shifted
        return ", ".join(words) if words else "recompressed or edited"


class Sets:
    """Disjoint sets of images, which are joined pair by pair.

    Args:
        count: Number of images, each a set of its own at first.
    """

    def __init__(self, count: int) -> None:
        self.roots = np.arange(count, dtype=np.int64)

    def find(self, image: int) -> int:
        """Return the root of the set of an image."""
        root = image
        while self.roots[root] != root:
            root = int(self.roots[root])
        while self.roots[image] != root:
            image, self.roots[image] = int(self.roots[image]), root
        return root

    def join(self, first: int, second: int) -> None:
        """Join the sets of two images; the root is the smallest index."""
        low, high = sorted((self.find(first), self.find(second)))
        self.roots[high] = low

    def all(self) -> Integers:
        """Return the root of every image, shape ``(M,)``."""
        while not np.array_equal(following := self.roots[self.roots], self.roots):
            self.roots = following
        return self.roots


@dataclass(frozen=True, eq=False)
class Duplicates:
    """All copies in a data set.

    Attributes:
        images: Its distinct images.
        pairs: Pairs of copies that connect every group; not every pair of a large group.
        same_bytes: For each image the smallest index of those with the same bytes, shape ``(M,)``.
        same_pixels: The same for those with the same pixels.
        groups: The same for all copies; an image without a copy is its own group.
        broken: The images that cannot be decoded, by index.
    """

    images: DistinctImages
    pairs: tuple[Pair, ...]
    same_bytes: Integers
    same_pixels: Integers
    groups: Integers
    broken: dict[int, BrokenImage]

    def of_part(self, part: str) -> Integers:
        """Return the group of each image of a part."""
        return self.groups[self.images.of_part[part]]

    def members(self) -> list[list[int]]:
        """Return the groups of two or more images, largest first."""
        order = np.argsort(self.groups, kind="stable")
        starts = np.flatnonzero(np.diff(self.groups[order], prepend=-1))
        sets = [group.tolist() for group in np.split(order, starts[1:]) if len(group) > 1]
        return sorted(sets, key=lambda group: (-len(group), group))


class Copies:
    """The copies of an image among some images, such as those of a part.

    Args:
        duplicates: All copies.
        among: The images.
    """

    def __init__(self, duplicates: Duplicates, among: Integers) -> None:
        self._all = duplicates
        exact = ((duplicates.same_bytes, Relation.SAME_BYTES), (duplicates.same_pixels, Relation.SAME_PIXELS))
        self._exact = [(keys, relation, self._first(keys, among)) for keys, relation in exact]
        self._by_group = self._first(duplicates.groups, among)
        self._neighbors: dict[int, list[Pair]] = {}
        for pair in duplicates.pairs:
            for image in (pair.first, pair.second) if pair.relation is Relation.NEAR else ():
                self._neighbors.setdefault(int(duplicates.same_pixels[image]), []).append(pair)

    @staticmethod
    def _first(keys: Integers, among: Integers) -> dict[int, int]:
        return {int(keys[image]): image for image in reversed(among.tolist())}

    def of(self, image: int) -> tuple[int, Relation, str] | None:
        """Return the nearest copy of an image, their relation and a text about it; None if there is none.

        An image that is itself among the images is returned only if it is not the first of its kind.
        """
        for keys, relation, first in self._exact:
            other = first.get(int(keys[image]), image)
            if other != image:
                return other, relation, relation.value
        own = int(self._all.same_pixels[image])
        by_pixels = self._exact[1][2]
        for pair in self._neighbors.get(own, ()):
            ends = {int(self._all.same_pixels[pair.first]), int(self._all.same_pixels[pair.second])} - {own}
            if (end := by_pixels.get(min(ends, default=own), image)) != image:
                return end, Relation.NEAR, pair.text
        other = self._by_group.get(int(self._all.groups[image]), image)
        return None if other == image else (other, Relation.NEAR, "both are copies of another image")
