"""Validated COCO ground truth, reduced to the fields that the evaluation uses."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from detkit.arrays import Size
from detkit.evaluation.mask_runs import TruthMask, image_size, read_segmentation, truth_mask
from detkit.label_values import canonical_id, parse_area, parse_box, parse_flag, parse_integer, parse_size

UNKNOWN_IMAGE = "ground-truth boxes of images that are not listed"
UNKNOWN_CLASS = "ground-truth boxes of categories that are not listed"


@dataclass(frozen=True)
class GroundTruth:
    """Labeled images in COCO format.

    Attributes:
        name: Name of the source, for error messages.
        image_ids: Image ids, in the order listed.
        categories: Category names by id, in the order of ids.
        annotations: For each box ``id`` (counted from 1: pycocotools treats a match with id 0 as no match), ``image_id``,
            ``category_id``, ``bbox`` (x, y, width, height), ``area``, ``iscrowd`` and ``difficult``; a crowd that stands for a region to
            ignore for every class also has the number of the ``region``, which the crowds of the other classes share.
        left_out: Number of skipped boxes, by reason.
        files: Image files by image id, where they are known.
        published_ids: Number of each image by its id in the file, where these are not the numbers themselves.
        sizes: ``(height, width)`` of each image by id, if masks were read.
        masks: The mask of each annotation, None for an object without one; None if masks were not read.
    """

    name: str
    image_ids: tuple[int, ...]
    categories: Mapping[int, str]
    annotations: Sequence[Mapping[str, Any]]
    left_out: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[int, str] = field(default_factory=dict)
    published_ids: Mapping[int | str, int] = field(default_factory=dict)
    sizes: Mapping[int, Size] = field(default_factory=dict)
    masks: Sequence[TruthMask | None] | None = None

    @classmethod
    def of(cls, dataset: Mapping[str, Any], name: str = "ground truth", *, masks: bool = False) -> GroundTruth:
        """Validate a COCO dict, with the masks of objects if ``masks``.

        A missing ``area`` is computed from the box, a missing ``iscrowd`` means no crowd. Boxes of images or categories that the dict
        does not list are skipped and counted; pycocotools skips them too.

        Raises:
            ValueError: If a required field is missing, duplicated or not a number; the message states where.
        """
        if not isinstance(dataset, Mapping):
            raise ValueError(f"{name}: expected a COCO object with images, annotations and categories, got {_kind(dataset)}")
        rows = read_annotations(_part(dataset, "annotations", name), name, masks=masks)
        return cls.of_parts(dataset, rows, name, masks=masks)

    @classmethod
    def of_parts(cls, dataset: Mapping[str, Any], boxes: list[dict[str, Any]], name: str, *, masks: bool = False) -> GroundTruth:
        """Return the ground truth of a COCO dict and the rows that :func:`read_annotations` made of its annotations, which are changed.

        Raises:
            ValueError: As for :meth:`of`.
        """
        _part(dataset, "annotations", name)
        numbers = _image_numbers(_part(dataset, "images", name), name)
        categories = _categories(_part(dataset, "categories", name), name)
        left_out: Counter[str] = Counter()
        annotations: list[dict[str, Any]] = []
        for box in boxes:
            image_id = _canonical(box["image_id"])
            number = None if image_id is None else numbers.get(image_id)
            if number is None:
                left_out[UNKNOWN_IMAGE] += 1
            elif box["category_id"] not in categories:
                left_out[UNKNOWN_CLASS] += 1
            else:
                box["id"], box["image_id"] = len(annotations) + 1, number
                annotations.append(box)
        named = zip(numbers.values(), dataset["images"], strict=True)
        files = {number: row["file_name"] for number, row in named if isinstance(row.get("file_name"), str)}
        published = {} if all(image_id == number for image_id, number in numbers.items()) else numbers
        sizes = _sizes(dataset["images"], numbers) if masks else {}
        own = pop_masks(annotations, sizes, name) if masks else None
        return cls(name, tuple(numbers.values()), categories, annotations, dict(left_out), files, published, sizes, own)

    def image_name(self, image_id: int) -> str:
        """Return the file name of an image, or its id if the file is unknown."""
        return self.files.get(image_id, f"image {image_id}")

    def to_dict(self) -> dict[str, Any]:
        """Return a COCO dict that both evaluators read."""
        return {
            "images": [{"id": image_id, **self._size(image_id)} for image_id in self.image_ids],
            "categories": [{"id": category_id, "name": name} for category_id, name in self.categories.items()],
            "annotations": list(self.annotations),
        }

    def _size(self, image_id: int) -> dict[str, int]:
        return {"height": self.sizes[image_id][0], "width": self.sizes[image_id][1]} if image_id in self.sizes else {}

    def boxes_by_class(self, ignored: str = "iscrowd") -> tuple[Counter[int], int]:
        """Count the objects of each category without those flagged as ``ignored``; also return the number of flagged ones.

        A region that is ignored for every class counts once.
        """
        counts = Counter(row["category_id"] for row in self.annotations if not row[ignored])
        copies = [row["region"] for row in self.annotations if "region" in row]
        return counts, len(self.annotations) - counts.total() - len(copies) + len(set(copies))


def _part(dataset: Mapping[str, Any], key: str, name: str) -> Sequence[Any]:
    rows = dataset.get(key)
    if rows is None:
        hint = "; COCO's test files have no labels; use a labeled file" if key == "annotations" else ""
        raise ValueError(f"{name}: has no {key!r}, expected a COCO object with images, annotations and categories{hint}")
    if not isinstance(rows, Sequence) or isinstance(rows, (str, bytes)):
        raise ValueError(f"{name}: {key}: expected a list, got {_kind(rows)}")
    if not rows and key != "annotations":
        raise ValueError(f"{name}: {key!r} is empty; there is nothing to evaluate")
    return rows


def _image_numbers(rows: Sequence[Any], name: str) -> dict[int | str, int]:
    """Return the number of each image by its canonical id: the id itself if all ids are numbers, else counted from 1."""
    ids = _unique_ids(rows, "images", name, "a text or an integer")
    if all(isinstance(image_id, int) for image_id in ids):
        return {image_id: int(image_id) for image_id in ids}
    return {image_id: number for number, image_id in enumerate(ids, 1)}


def _unique_ids(rows: Sequence[Any], key: str, name: str, expected: str) -> list[int | str]:
    ids = []
    for index, row in enumerate(rows):
        value = _canonical(row.get("id") if isinstance(row, Mapping) else None)
        if value is None or (isinstance(value, int) and not 0 <= value < 2**63):
            got = row.get("id") if isinstance(row, Mapping) else None
            raise ValueError(f"{name}: {key}[{index}].id: expected {expected} of at least 0 (64 bits), got {got!r}")
        ids.append(value)
    if len(set(ids)) != len(ids):
        duplicate, count = Counter(ids).most_common(1)[0]
        raise ValueError(f"{name}: {key}: id {duplicate} occurs {count} times; ids must be unique")
    return ids


def _canonical(value: Any) -> int | str | None:
    try:
        return canonical_id(value)
    except ValueError:
        return None


def _categories(rows: Sequence[Any], name: str) -> dict[int, str]:
    ids = []
    for index, category_id in enumerate(_unique_ids(rows, "categories", name, "an integer")):
        if not isinstance(category_id, int):
            raise ValueError(f"{name}: categories[{index}].id: expected an integer of at least 0 (64 bits), got {category_id!r}")
        ids.append(category_id)
    for index, row in enumerate(rows):
        if not isinstance(row.get("name"), str):
            raise ValueError(f"{name}: categories[{index}].name: expected a string, got {row.get('name')!r}")
    return dict(sorted(zip(ids, (row["name"] for row in rows), strict=True)))


def _sizes(rows: Sequence[Mapping[str, Any]], numbers: Mapping[int | str, int]) -> dict[int, Size]:
    """Return the size of each image that states one."""
    sizes = ((number, parse_size(row)) for number, row in zip(numbers.values(), rows, strict=True))
    return {number: size for number, size in sizes if size is not None}


def pop_masks(annotations: Sequence[dict[str, Any]], sizes: Mapping[int, Size], name: str) -> list[TruthMask | None]:
    """Remove what :func:`read_annotations` added about masks from the annotations, and return the masks.

    Raises:
        ValueError: If an image with masks has no size, or another one than they have.
    """
    masks: list[TruthMask | None] = []
    for row in annotations:
        segmentation, area, image_id = row.pop("segmentation"), row.pop("published_area"), row["image_id"]
        size = None if segmentation is None else image_size(sizes, image_id, name)
        masks.append(None if size is None else truth_mask(segmentation, size, area, f"{name}: a mask of image {image_id}"))
    return masks


def read_annotations(rows: Sequence[Any], name: str, first: int = 0, *, masks: bool = False) -> list[dict[str, Any]]:
    """Parse annotations, of which the first is that of index ``first`` in its file, and check that their boxes are finite.

    With ``masks``, each has its checked ``segmentation``, and its ``published_area``, which is None if there is none.

    Raises:
        ValueError: If a key is missing or a value is wrong; the message states where.
    """
    boxes = []
    for index, row in enumerate(rows, first):
        box = read_annotation(row, f"{name}: annotations[{index}]")
        if not is_finite(box):
            raise ValueError(f"{name}: annotations[{index}].bbox: expected four finite numbers x, y, width, height, got {row['bbox']!r}")
        if masks:
            box["segmentation"] = read_segmentation(row.get("segmentation"), f"{name}: annotations[{index}].segmentation")
            box["published_area"] = published_area(row)
        boxes.append(box)
    return boxes


def published_area(row: Mapping[str, Any]) -> float | None:
    """Return the area of a parsed annotation, None if it has none."""
    area = parse_area(row.get("area"))
    return None if math.isnan(area) else area


def read_annotation(row: Any, where: str) -> dict[str, Any]:
    """Parse the ``image_id``, ``category_id``, ``bbox``, ``area``, ``iscrowd`` and ``difficult`` of an annotation.

    The numbers of the box may be NaN or infinite: see :func:`is_finite`.

    Raises:
        ValueError: If a key is missing or a value has the wrong type; the message starts with ``where``.
    """
    if not isinstance(row, Mapping):
        raise ValueError(f"{where}: expected an object, got {_kind(row)}")
    for key in ("image_id", "category_id", "bbox"):
        if key not in row:
            raise ValueError(f"{where}: has no {key!r}")
    if not isinstance(row["image_id"], Hashable):
        raise ValueError(f"{where}.image_id: expected the id of an image, got {row['image_id']!r}")
    readers = {"category_id": parse_integer, "bbox": parse_box, "area": parse_area, "iscrowd": parse_flag, "difficult": parse_flag}
    parsed: dict[str, Any] = {"image_id": row["image_id"]}
    for key, read in readers.items():
        try:
            parsed[key] = read(row.get(key))
        except ValueError as error:
            raise ValueError(f"{where}.{key}: {error}") from None
    box_area = parsed["bbox"][2] * parsed["bbox"][3]
    area = box_area if math.isnan(parsed["area"]) else parsed["area"]
    parsed.update(area=area, iscrowd=int(parsed["iscrowd"]), difficult=int(parsed["difficult"]))
    return parsed


def is_finite(annotation: Mapping[str, Any]) -> bool:
    """Whether all four numbers of an annotation's box are finite."""
    return all(map(math.isfinite, annotation["bbox"]))


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", type(None): "null"}
    return names.get(type(value), repr(value))
