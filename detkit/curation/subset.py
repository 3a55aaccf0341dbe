"""Take a part of the images of a data set: at random but stable, by class, or by a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detkit.arrays import Integers
from detkit.curation.parts import LabeledParts, Part, box_counts
from detkit.data.splits import hash_order
from detkit.registry import did_you_mean


@dataclass(frozen=True, kw_only=True)
class SubsetOptions:
    """Which images to take.

    Attributes:
        images: Number of images in all parts together, divided in proportion to them.
        fraction: Fraction of the images of each part, instead of ``images``.
        per_class: Smallest number of boxes of each class in each part, where the part has as many; these images come first.
        complete: Parts that stay as they are.
        seed: Another seed takes other images.
    """

    images: int | None = None
    fraction: float | None = None
    per_class: int = 0
    complete: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Subset:
    """A subset.

    Attributes:
        data: The images, in the order they had; parts without images are left out.
        short: For each part the classes with fewer boxes than ``per_class``, and their numbers.
    """

    data: LabeledParts
    short: Mapping[str, Mapping[str, int]]


def subset_parts(data: LabeledParts, options: SubsetOptions) -> Subset:
    """Take images by a hash of their ids: the same ones on every machine, and a larger subset contains the smaller one.

    Raises:
        ValueError: If neither or both of ``images`` and ``fraction`` are given without ``per_class``, or there is no such part.
    """
    if (options.images is None) == (options.fraction is None) and not (options.per_class and options.images is None):
        raise ValueError("subset: expected one of images, fraction and a number of boxes per class; got neither or several")
    _check_parts(data, options.complete)
    orders = {name: _order(part, options) for name, part in data if name not in options.complete}
    counts = _counts(orders, options)
    parts = {name: part.take(sorted(orders[name][0][: counts[name]])) if name in orders else part for name, part in data}
    short = {name: _short(parts[name], options.per_class) for name in orders} if options.per_class else {}
    kept = {name: part for name, part in parts.items() if len(part)}
    return Subset(replace(data, parts=kept), {name: classes for name, classes in short.items() if classes})


def subset_of_ids(data: LabeledParts, ids: Iterable[str]) -> LabeledParts:
    """Take the images with the given ids, which are compared as text, in any part.

    Raises:
        ValueError: If there are no images of some of them.
    """
    return _listed(data, ids, {name: [str(image_id) for image_id in part.data.records.image_ids] for name, part in data}, "id")


def subset_of_names(data: LabeledParts, names: Iterable[str]) -> LabeledParts:
    """Take the images with the given paths in the image folder, in any part.

    Raises:
        ValueError: If there are no images of some of them.
    """
    return _listed(data, names, {name: list(part.names) for name, part in data}, "name")


def _listed(data: LabeledParts, wanted: Iterable[str], known: Mapping[str, Sequence[str]], noun: str) -> LabeledParts:
    selected = set(wanted)
    missing = sorted(selected - {value for values in known.values() for value in values})
    if missing:
        every = [value for values in known.values() for value in values]
        hint = did_you_mean(missing[0], every) if len(every) <= _MOST_HINTED else ""
        more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
        raise ValueError(f"{data.name}: it has no image with the {noun} {missing[0]!r}{more}{': ' * bool(hint)}{_shortened(hint)}")
    parts = {name: part.take([i for i, value in enumerate(known[name]) if value in selected]) for name, part in data}
    kept = {name: part for name, part in parts.items() if len(part)}
    if not kept:
        raise ValueError(f"{data.name}: the list has no {noun}s; expected one per line")
    return replace(data, parts=kept)


_MOST_HINTED, _LONGEST_HINT = 20_000, 200


def _shortened(hint: str) -> str:
    return hint if len(hint) <= _LONGEST_HINT else f"{hint[:_LONGEST_HINT]}..."


def _check_parts(data: LabeledParts, names: Sequence[str]) -> None:
    for name in names:
        if name not in data.parts:
            raise ValueError(f"{data.name}: it has no part {name!r}: {did_you_mean(name, list(data.parts))}")


def _order(part: Part, options: SubsetOptions) -> tuple[list[int], int]:
    """Return the indices of a part's images in the order in which they are taken, and the number of those that classes need."""
    order = hash_order(part.data.records.image_ids, options.seed)
    if not options.per_class:
        return order, 0
    needed = _needed(part, np.array(order, np.int64), options.per_class)
    return [i for i in order if i in needed] + [i for i in order if i not in needed], len(needed)


def _needed(part: Part, order: Integers, count: int) -> set[int]:
    """Return the first images of an order that have ``count`` boxes of each class; crowds do not count.

    Classes are treated one by one: so a larger count adds images, and replaces none.
    """
    records = part.data.records
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    boxes = np.flatnonzero(~records.is_crowd)
    ranks, labels = rank[records.image_index[boxes]], records.labels[boxes]
    by_class = np.lexsort((ranks, labels))
    labels, ranks = labels[by_class], ranks[by_class]
    starts = np.searchsorted(labels, labels)  # first row of the class of each row
    first = np.arange(len(labels)) - starts < count
    return {int(order[index]) for index in np.unique(ranks[first])}


def _counts(orders: Mapping[str, tuple[list[int], int]], options: SubsetOptions) -> dict[str, int]:
    """Return the number of images of each part.

    Parts take turns in proportion to their sizes, the first image of each before all others, so that a larger number adds to each part.
    """
    sizes = {name: len(order) for name, (order, _) in orders.items()}
    needed = {name: count for name, (_, count) in orders.items()}
    if options.fraction is not None:
        return {name: max(needed[name], round(options.fraction * size), min(1, size)) for name, size in sizes.items()}
    turns = sorted(((rank + 0.5) / size if rank else 0.0, name) for name, size in sizes.items() for rank in range(size))
    taken = [name for _, name in turns[: options.images or 0]]
    return {name: max(needed[name], taken.count(name)) for name in sizes}


def _short(taken: Part, count: int) -> dict[str, int]:
    """Return the classes with fewer boxes than ``count``, and their numbers."""
    counts = box_counts(taken.where(~taken.data.records.is_crowd))
    return {name: int(boxes) for name, boxes in zip(taken.data.class_names, counts, strict=True) if boxes < count}
