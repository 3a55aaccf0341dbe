"""Division of a data set into train, val and test; groups of images, such as copies of one another, are never parted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from detkit.arrays import Doubles, Integers
from detkit.curation.duplicates.cache import PixelCache
from detkit.curation.duplicates.find import find_duplicates
from detkit.curation.merge import join_parts
from detkit.curation.parts import WHOLE, LabeledParts, Part, box_counts
from detkit.curation.split.grouping import Key, group_keys, join_groups
from detkit.curation.split.stratify import Groups, fill_empty, in_order, stratified
from detkit.registry import did_you_mean

DUPLICATES = ("together", "ignore")


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """How a data set is divided.

    Attributes:
        val: Fraction of the images for ``val``; 0: no such part.
        test: Fraction of the images for ``test``; 0: no such part.
        seed: Another seed divides otherwise.
        stratify: Give each part its fraction of the boxes of every class, too.
        group_by: Images that stay together: ``folder``, ``regex:PATTERN`` or a field of a COCO file's images; empty: every image by itself.
        duplicates: Keep copies ``together``, found by their pixels, or ``ignore`` them.
        parts: Parts to divide; the others stay as they are. Empty: all, as one.
    """

    val: float = 0.15
    test: float = 0.0
    seed: int = 0
    stratify: bool = True
    group_by: str = ""
    duplicates: Literal["together", "ignore"] = "together"
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.val < 0 or self.test < 0 or not 0 < self.val + self.test < 1:
            raise ValueError(
                f"split: expected fractions of 0 or more, whose sum is between 0 and 1, got val {self.val:g} and test {self.test:g}"
            )
        if self.duplicates not in DUPLICATES:
            raise ValueError(f"split: expected duplicates to be {' or '.join(DUPLICATES)}, got {self.duplicates!r}")

    @property
    def fractions(self) -> dict[str, float]:
        """The fraction of each part."""
        fractions = {WHOLE: 1 - self.val - self.test, "val": self.val, "test": self.test}
        return {name: fraction for name, fraction in fractions.items() if fraction}


@dataclass(frozen=True)
class SplitGroup:
    """A group of images that stayed together.

    Attributes:
        name: Its key, or the name of its first image.
        part: Its part.
        images: Number of images.
    """

    name: str
    part: str
    images: int


@dataclass(frozen=True, eq=False)
class Split:
    """A data set that was divided.

    Attributes:
        data: The new parts, then those that were kept.
        fractions: The fraction of the images that each new part was to get.
        pooled: Names of the parts that were divided as one.
        group_count: Number of groups, of which most may be single images.
        largest: The largest groups of two images or more, at most ten.
        unmatched: Number of images without a key, which are groups of their own.
        copies: Number of images that are copies of an earlier one.
        repeated: Number of images that were in several parts, of which the first is kept.
    """

    data: LabeledParts
    fractions: Mapping[str, float]
    pooled: tuple[str, ...]
    group_count: int
    largest: tuple[SplitGroup, ...] = ()
    unmatched: int = 0
    copies: int = 0
    repeated: int = 0

    def class_shares(self) -> Doubles:
        """Return the share of each class's boxes in each new part, shape ``(P, K)``; NaN for classes without boxes."""
        counts = np.stack([box_counts(self.data.parts[name]) for name in self.fractions])
        return np.asarray(counts / np.where(counts.sum(axis=0), counts.sum(axis=0), np.nan))


def split_parts(
    data: LabeledParts, options: SplitOptions, *, progress: Callable[[int, int], None] | None = None, cache: Path | None = None
) -> Split:
    """Divide a data set; nothing is written.

    The result depends on the images' names, their groups and labels and the seed, not on the order of the images.

    Args:
        data: The data set.
        options: How to divide it.
        progress: Called after every image that is compared with the others.
        cache: Folder in which the results of comparing images are stored; None: in the user's cache.

    Raises:
        ValueError: If there are too few images or groups, no such part, or nothing to group by.
    """
    kept, divided = _chosen(data, options)
    parts, repeated = _distinct(list(divided.values()))
    keys = group_keys(parts, options.group_by) if options.group_by else [None] * sum(map(len, parts))
    copies = None
    if options.duplicates == "together":
        pooled = replace(data, parts={str(number): part for number, part in enumerate(parts)})
        store = PixelCache.of(data.name, cache)
        copies = find_duplicates(pooled, progress=progress, cache=store)
    copy_of = None if copies is None else np.concatenate([copies.of_part(name) for name in copies.images.of_part])
    pool, groups = join_parts(parts), join_groups(keys, copy_of)
    part_of = _assign(pool, groups, _unique_names(dict(zip(divided, parts, strict=True))), options)
    names = list(options.fractions)
    new = {name: pool.take(np.flatnonzero(part_of == number).tolist()) for number, name in enumerate(names)}
    return Split(
        replace(data, parts={**new, **kept}),
        options.fractions,
        tuple(divided),
        len(set(groups.tolist())),
        _largest(pool, groups, keys, [names[number] for number in part_of.tolist()]),
        keys.count(None) if options.group_by else 0,
        0 if copy_of is None else len(copy_of) - len(np.unique(copy_of)),
        repeated,
    )


def _chosen(data: LabeledParts, options: SplitOptions) -> tuple[dict[str, Part], dict[str, Part]]:
    """Return the parts that stay, and those to divide."""
    for name in options.parts:
        if name not in data.parts:
            raise ValueError(f"{data.name}: it has no part {name!r}: {did_you_mean(name, list(data.parts))}")
    divided = {name: part for name, part in data if not options.parts or name in options.parts}
    kept = {name: part for name, part in data if name not in divided}
    for name in options.fractions:
        if name in kept:
            raise ValueError(f"{data.name}: its part {name!r} is kept, so there cannot be a new one; divide it, too, or give --{name} 0")
    return kept, divided


def _distinct(parts: Sequence[Part]) -> tuple[list[Part], int]:
    """Return the parts without the images of earlier ones, and the number of these."""
    seen: set[object] = set()
    distinct, repeated = [], 0
    for part in parts:
        windows = part.data.records.windows
        sources = [(path, None if windows is None else windows[i].tobytes()) for i, path in enumerate(part.data.records.paths)]
        rows = [row for row, source in enumerate(sources) if source not in seen]
        seen.update(sources)
        repeated += len(part) - len(rows)
        distinct.append(part if len(rows) == len(part) else part.take(rows))
    return distinct, repeated


def _assign(pool: Part, groups: Integers, names: Sequence[str], options: SplitOptions) -> Integers:
    """Return the part of each image."""
    fractions = np.array(list(options.fractions.values()))
    rows, group_of = np.unique(groups, return_inverse=True)
    first_names = _first_names(names, group_of, len(rows))
    order = np.argsort([hashlib.sha256(f"{options.seed}:{name}".encode()).hexdigest() for name in first_names], kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    position = rank[group_of]
    records = pool.data.records
    objects = ~records.is_ignore
    table = Groups.of(position, position[records.image_index[objects]], records.labels[objects], len(pool.data.class_names))
    part_of = stratified(table, fractions) if options.stratify else in_order(table, fractions)
    return fill_empty(part_of, table, fractions)[position]


def _unique_names(parts: Mapping[str, Part]) -> list[str]:
    """Return the name of each image, with that of its part in front where another image has the same."""
    counts = Counter(name for part in parts.values() for name in part.names)
    return [name if counts[name] == 1 else f"{part_name}/{name}" for part_name, part in parts.items() for name in part.names]


def _first_names(names: Sequence[str], group_of: Integers, count: int) -> list[str]:
    """Return the first name of each group in alphabetical order, by which the group is hashed."""
    first = [""] * count
    for name, group in zip(names, group_of.tolist(), strict=True):
        if not first[group] or name < first[group]:
            first[group] = name
    return first


def _largest(pool: Part, groups: Integers, keys: Sequence[Key], parts: Sequence[str], most: int = 10) -> tuple[SplitGroup, ...]:
    counts = Counter(groups.tolist())
    found = [(group, count) for group, count in counts.items() if count > 1]
    found.sort(key=lambda row: (-row[1], pool.names[row[0]]))
    return tuple(SplitGroup(keys[group] or pool.names[group], parts[group], count) for group, count in found[:most])
