"""Assignment of groups of images to parts, so that each part gets its fraction of the images and of every class.

Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data, 2011, algorithm 1 (iterative stratification), with groups
instead of single examples: the class with the fewest boxes left goes first, and each group that has it goes to the part that lacks most of
it. A group counts with all its images and boxes, and the groups with the most boxes of the class go first, because small ones fill gaps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.arrays import Doubles, Integers


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of images, in a random but stable order.

    Of the numbers of boxes, only those above 0 are stored: a group has boxes of a few classes, however many classes there are.

    Attributes:
        images: ``(G,)`` int64, number of images.
        offsets: ``(G + 1,)`` int64; the numbers of group ``g`` are ``offsets[g]:offsets[g + 1]``.
        labels: ``(N,)`` int64, the classes of each group, ascending.
        counts: ``(N,)`` int64, the number of the group's boxes of each of these classes.
        class_count: Number of classes.
    """

    images: Integers
    offsets: Integers
    labels: Integers
    counts: Integers
    class_count: int

    @classmethod
    def of(cls, group_of_image: Integers, group_of_box: Integers, labels: Integers, class_count: int) -> Groups:
        """Count images and boxes.

        Args:
            group_of_image: ``(M,)``, the group of each image; every group has an image.
            group_of_box: ``(N,)``, the group of each box.
            labels: ``(N,)``, the class of each box.
            class_count: Number of classes.
        """
        images = np.bincount(group_of_image)
        cells, counts = np.unique(group_of_box * class_count + labels, return_counts=True)
        offsets = np.searchsorted(cells, np.arange(len(images) + 1) * class_count)
        return cls(images, offsets, cells % class_count, counts, class_count)

    def __len__(self) -> int:
        return len(self.images)

    def by_class(self) -> list[Integers]:
        """Return the groups that have boxes of each class, those with the most boxes first."""
        group_of = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        order = np.lexsort((group_of, -self.counts, self.labels))
        ends = np.cumsum(np.bincount(self.labels, minlength=self.class_count))
        return np.split(group_of[order], ends[:-1])


def in_order(groups: Groups, fractions: Doubles) -> Integers:
    """Return the part of each group: the last part is filled first, so that it stays nearly the same when images are added.

    Args:
        groups: The groups.
        fractions: ``(P,)``, sum 1.
    """
    part_of = np.zeros(len(groups), np.int64)
    targets = fractions * groups.images.sum()
    filled = np.zeros(len(fractions))
    for group, count in enumerate(groups.images.tolist()):
        part = next((part for part in range(len(fractions) - 1, 0, -1) if filled[part] + count / 2 <= targets[part]), 0)
        part_of[group] = part
        filled[part] += count
    return part_of


def stratified(groups: Groups, fractions: Doubles) -> Integers:
    """Return the part of each group, by iterative stratification.

    Args:
        groups: The groups; earlier ones go first where the algorithm does not care.
        fractions: ``(P,)``, sum 1.
    """
    part_of = np.full(len(groups), -1, np.int64)
    left = np.bincount(groups.labels, groups.counts, groups.class_count)
    missing = fractions[:, None] * left
    lacking = fractions * groups.images.sum()
    having = groups.by_class()
    while (left > 0).any():
        label = int(np.argmin(np.where(left > 0, left, np.inf)))
        for group in having[label][part_of[having[label]] < 0].tolist():
            part = _neediest(missing[:, label], lacking)
            part_of[group] = part
            own = slice(groups.offsets[group], groups.offsets[group + 1])
            missing[part, groups.labels[own]] -= groups.counts[own]
            lacking[part] -= groups.images[group]
            left[groups.labels[own]] -= groups.counts[own]
    for group in sorted(np.flatnonzero(part_of < 0).tolist(), key=lambda group: -int(groups.images[group])):
        part = int(np.argmax(lacking))
        part_of[group] = part
        lacking[part] -= groups.images[group]
    return part_of


def _neediest(missing: Doubles, lacking: Doubles) -> int:
    """Return the part that lacks most boxes of a class, and of equal ones most images."""
    return int(np.lexsort((lacking, missing))[-1])


def fill_empty(part_of: Integers, groups: Groups, fractions: Doubles) -> Integers:
    """Return the parts of the groups, with a small group of the largest part moved into each part that is empty.

    Raises:
        ValueError: If there are fewer groups than parts.
    """
    if len(groups) < len(fractions):
        raise ValueError(
            f"expected at least {len(fractions)} groups of images, one for each part, got {len(groups)}: groups are never parted; group by "
            "something finer, or use fewer parts"
        )
    filled = part_of.copy()
    for part in range(len(fractions)):
        if not (filled == part).any():
            counts = np.bincount(filled, minlength=len(fractions))
            largest = np.flatnonzero(filled == counts.argmax())
            filled[largest[np.argmin(groups.images[largest])]] = part
    return filled
