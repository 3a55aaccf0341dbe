"""Keep only some of the boxes and images of a data set, by class, size, number, name and condition."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from detkit.arrays import Doubles, Flags, Integers
from detkit.curation.conditions import Comparison, Condition, parse_condition
from detkit.curation.ignoring import ignored
from detkit.curation.parts import LabeledParts, Part
from detkit.registry import did_you_mean


class Area(NamedTuple):
    """A limit of a box's area: square pixels, or a fraction of its image.

    Attributes:
        value: The number.
        of_image: Whether it is a fraction of the image's area.
    """

    value: float
    of_image: bool = False

    def __str__(self) -> str:
        return f"{100 * self.value:g} % of the image" if self.of_image else f"{self.value:g} square pixels"


_ANY_AREA = Area(0.0)


@dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """What stays of a data set. First boxes are selected, then images by what is left of their boxes.

    Crowds and ignore regions stay whatever their size, and do not count as boxes of an image.

    Attributes:
        classes: Classes whose boxes stay; None: all.
        drop_classes: Classes whose boxes do not stay.
        min_side: Smallest shorter side of a box in pixels.
        max_side: Largest longer side of a box in pixels.
        min_area: Smallest area of a box.
        max_area: Largest area of a box; None: no limit.
        image_sides: Range of the shorter side of an image in pixels: from the first number to below the second.
        min_boxes: Smallest number of boxes of an image.
        max_boxes: Largest number of boxes of an image.
        where: Conditions on images that all hold; see :mod:`detkit.curation.conditions`.
        names: Regular expression that is searched in the path of each image in its image folder.
        drop_empty: Whether images go that had boxes and lose all of them.
        ignore: Whether boxes become ignore regions instead of being dropped.
    """

    classes: tuple[str, ...] | None = None
    drop_classes: tuple[str, ...] = ()
    min_side: float = 0.0
    max_side: float = math.inf
    min_area: Area = _ANY_AREA
    max_area: Area | None = None
    image_sides: tuple[float, float] = (0.0, math.inf)
    min_boxes: int = 0
    max_boxes: int | None = None
    where: tuple[str, ...] = ()
    names: str | None = None
    drop_empty: bool = False
    ignore: bool = False


@dataclass(frozen=True)
class Filtered:
    """A filtered data set.

    Attributes:
        data: What is left; parts without images are left out.
        boxes: Number of boxes that were dropped or became ignore regions in images that stay, by the first reason.
        images: Number of images that were dropped, by the first reason.
        boxes_of_images: Number of boxes that went with their images.
        empty_parts: Parts of which no image is left.
    """

    data: LabeledParts
    boxes: Mapping[str, int] = field(default_factory=Counter)
    images: Mapping[str, int] = field(default_factory=Counter)
    boxes_of_images: int = 0
    empty_parts: tuple[str, ...] = ()


def filter_parts(data: LabeledParts, options: FilterOptions) -> Filtered:
    """Keep only some boxes and images of a data set.

    Raises:
        ValueError: If there is no such class, a condition or the regular expression is invalid, or no image is left.
    """
    names = _kept_classes(data.class_names, options)
    conditions = [parse_condition(text, data.class_names) for text in options.where]
    pattern = _pattern(options.names)
    boxes, images, gone = Counter[str](), Counter[str](), 0
    parts: dict[str, Part] = {}
    for name, part in data:
        keep = _first_reasons(_box_rules(part, names, options), ~np.zeros(len(part.data.records.labels), np.bool_))
        stay = _first_reasons(_image_rules(part, keep.kept, options, conditions, pattern), ~np.zeros(len(part), np.bool_))
        in_staying = stay.kept[part.data.records.image_index]
        boxes.update({reason: int((rows & in_staying).sum()) for reason, rows in keep.reasons.items()})
        images.update({reason: int(rows.sum()) for reason, rows in stay.reasons.items()})
        gone += int((~in_staying).sum())
        parts[name] = _selected(part, keep.kept, names, options.ignore).take(np.flatnonzero(stay.kept).tolist())
    left = {name: part for name, part in parts.items() if len(part)}
    if not left:
        raise ValueError(f"{data.name}: no image is left of {data.image_count:,}: {_listed(images)}; loosen the conditions")
    return Filtered(replace(data, parts=left), +boxes, +images, gone, tuple(name for name in parts if name not in left))


class _Reasons(NamedTuple):
    kept: Flags
    reasons: dict[str, Flags]


def _first_reasons(rules: Iterable[tuple[str, Flags]], kept: Flags) -> _Reasons:
    """Return what no rule drops, and for each rule what it is the first one to drop."""
    reasons = {}
    for reason, dropped in rules:
        reasons[reason] = dropped & kept
        kept = kept & ~dropped
    return _Reasons(kept, reasons)


def _kept_classes(known: Sequence[str], options: FilterOptions) -> tuple[str, ...]:
    for name in (*(options.classes or ()), *options.drop_classes):
        if name not in known:
            raise ValueError(f"filter: the data has no class {name!r}: {did_you_mean(name, list(known))}")
    selected = known if options.classes is None else options.classes
    names = tuple(name for name in known if name in selected and name not in options.drop_classes)
    if not names:
        raise ValueError(f"filter: no class is left of {', '.join(known)}; select at least one")
    return names


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise ValueError(f"filter: names: expected a regular expression, got {text!r}: {error}") from None


def _box_rules(part: Part, names: Sequence[str], options: FilterOptions) -> Iterator[tuple[str, Flags]]:
    """Yield each reason to drop boxes, and the boxes ``(N,)`` to which it applies."""
    records = part.data.records
    yield "class not selected", _unselected(part, names)
    sides = (records.boxes[:, 2:] - records.boxes[:, :2]).astype(np.float64)
    areas, is_box = sides.prod(1), ~records.is_crowd
    of_image = areas / records.sizes.prod(1)[records.image_index]
    yield f"shorter side below {options.min_side:g} pixels", is_box & (sides.min(1, initial=math.inf) < options.min_side)
    yield f"longer side above {options.max_side:g} pixels", is_box & (sides.max(1, initial=0) > options.max_side)
    low, high = options.min_area, options.max_area
    yield f"area below {low}", is_box & ((of_image if low.of_image else areas) < low.value)
    if high is not None:
        yield f"area above {high}", is_box & ((of_image if high.of_image else areas) > high.value)


def _image_rules(
    part: Part, kept: Flags, options: FilterOptions, conditions: Sequence[Condition], pattern: re.Pattern[str] | None
) -> Iterator[tuple[str, Flags]]:
    """Yield each reason to drop images, and the images ``(M,)`` to which it applies."""
    records = part.data.records
    counted = kept & ~records.is_crowd
    boxes = _count(records.image_index, counted, len(part))
    if pattern is not None:
        yield f"name without a match of {pattern.pattern!r}", np.array([not pattern.search(name) for name in part.names], np.bool_)
    low, high = options.image_sides
    sides = records.sizes.min(1)
    yield f"shorter side of the image not in {low:g}:{high:g}", (sides < low) | (sides >= high)
    if options.drop_empty:
        yield "all boxes dropped", (boxes == 0) & (_count(records.image_index, ~records.is_crowd, len(part)) > 0)
    yield f"fewer boxes than {options.min_boxes}", boxes < options.min_boxes
    if options.max_boxes is not None:
        yield f"more boxes than {options.max_boxes}", boxes > options.max_boxes

    def value(comparison: Comparison) -> Doubles:
        if comparison.is_class:
            label = part.data.class_names.index(comparison.name)
            return _count(records.image_index, counted & (records.labels == label), len(part))
        height, width = (records.sizes[:, axis].astype(np.float64) for axis in (0, 1))
        values: dict[str, Doubles] = {"boxes": boxes, "width": width, "height": height, "side": sides.astype(np.float64)}
        values["area"] = height * width
        return values[comparison.name]

    for condition in conditions:
        yield f"not {condition.text}", ~condition.holds(value)


def _count(image_index: Integers, rows: Flags, images: int) -> Doubles:
    counts: Doubles = np.bincount(image_index[rows], minlength=images).astype(np.float64)
    return counts


def _unselected(part: Part, names: Sequence[str]) -> Flags:
    """Return which boxes ``(N,)`` are of other classes; regions that are of no class are of none."""
    table = np.array([name not in names for name in part.data.class_names], np.bool_)
    unselected: Flags = table[part.data.records.labels] & ~part.data.records.is_ignore
    return unselected


def _selected(part: Part, keep: Flags, names: tuple[str, ...], ignore: bool) -> Part:
    """Return the part with the kept boxes, of the kept classes only; the others are dropped or become ignore regions.

    A box of a class that is not kept is ignored for every class.
    """
    data = part.data
    if ignore:
        part = ignored(part, ~keep, _unselected(part, names))
    table = np.array([names.index(name) if name in names else 0 for name in data.class_names], np.int64)
    changed = part.where(np.ones_like(keep) if ignore else keep, table[part.data.records.labels])
    ids = tuple(number for name, number in zip(data.class_names, data.category_ids, strict=True) if name in names)
    return replace(changed, data=replace(changed.data, class_names=names, category_ids=ids))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {count:,}" for reason, count in counts.items() if count)
