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

    Attributes:
        images: ``(G,)`` int64, number of images.
        boxes: ``(G, K)`` int64, number of boxes of each class.
    """

    images: Integers
    boxes: Integers

    def __len__(self) -> int:
        return len(self.images)


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
    missing = fractions[:, None] * groups.boxes.sum(axis=0)
    lacking = fractions * groups.images.sum()
    left = groups.boxes.sum(axis=0).astype(np.float64)
    while (left > 0).any():
        label = int(np.argmin(np.where(left > 0, left, np.inf)))
        having = np.flatnonzero((part_of < 0) & (groups.boxes[:, label] > 0))
        for group in having[np.argsort(-groups.boxes[having, label], kind="stable")].tolist():
            part = _neediest(missing[:, label], lacking)
            part_of[group] = part
            missing[part] -= groups.boxes[group]
            lacking[part] -= groups.images[group]
            left -= groups.boxes[group]
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
