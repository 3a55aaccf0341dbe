"""COCO ground truth, checked, with only what an evaluation reads."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from detkit.label_values import flag, four_numbers, stated_area, whole_number

UNKNOWN_IMAGE = "ground-truth boxes of images that are not listed"
UNKNOWN_CLASS = "ground-truth boxes of categories that are not listed"


@dataclass(frozen=True)
class GroundTruth:
    """Labeled images in COCO's form.

    Attributes:
        name: Where it came from, for messages.
        image_ids: The images' ids, in the order listed.
        categories: Name of each category, by id, in the order of ids.
        annotations: ``id`` (counted from 1: pycocotools takes a match with id 0 for no match), ``image_id``, ``category_id``,
            ``bbox`` (x, y, width, height), ``area``, ``iscrowd`` and ``difficult`` of each box.
        left_out: What was not taken, by reason.
        files: The images' files, by image id, where they are known.
    """

    name: str
    image_ids: tuple[int, ...]
    categories: Mapping[int, str]
    annotations: Sequence[Mapping[str, Any]]
    left_out: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Mapping[str, Any], name: str = "ground truth") -> GroundTruth:
        """Check a COCO dict. A box without ``area`` gets its own, one without ``iscrowd`` is no crowd.

        Boxes of images or categories that the dict does not list are left out and counted, as pycocotools leaves them out.

        Raises:
            ValueError: something an evaluation needs is missing, occurs twice, or is no number; says where.
        """
        if not isinstance(dataset, Mapping):
            raise ValueError(f"{name}: expected a COCO object with images, annotations and categories, got {_kind(dataset)}")
        images = _ids(_part(dataset, "images", name), "images", name)
        categories = _categories(_part(dataset, "categories", name), name)
        left_out: Counter[str] = Counter()
        listed = set(images)
        annotations: list[dict[str, Any]] = []
        for place, row in enumerate(_part(dataset, "annotations", name)):
            box = read_annotation(row, f"{name}: annotations[{place}]")
            if not is_finite(box):
                raise ValueError(
                    f"{name}: annotations[{place}].bbox: expected four finite numbers x, y, width, height, got {row['bbox']!r}"
                )
            if box["image_id"] not in listed:
                left_out[UNKNOWN_IMAGE] += 1
            elif box["category_id"] not in categories:
                left_out[UNKNOWN_CLASS] += 1
            else:
                annotations.append({"id": len(annotations) + 1, **box})
        files = {row["id"]: row["file_name"] for row in dataset["images"] if isinstance(row.get("file_name"), str)}
        return cls(name, tuple(images), categories, annotations, dict(left_out), files)

    def image(self, image_id: int) -> str:
        """What to call a image: its file, else its id."""
        return self.files.get(image_id, f"image {image_id}")

    def to_dict(self) -> dict[str, Any]:
        """As a COCO dict, which both engines read."""
        return {
            "images": [{"id": image_id} for image_id in self.image_ids],
            "categories": [{"id": category_id, "name": name} for category_id, name in self.categories.items()],
            "annotations": list(self.annotations),
        }

    def boxes_by_class(self, ignored: str = "iscrowd") -> tuple[Counter[int], int]:
        """How many objects each category has, without those that the flag ``ignored`` marks; and how many it marks."""
        found = Counter(row["category_id"] for row in self.annotations if not row[ignored])
        return found, len(self.annotations) - found.total()


def _part(dataset: Mapping[str, Any], key: str, name: str) -> Sequence[Any]:
    found = dataset.get(key)
    if found is None:
        hint = "; COCO's test files come without labels: take a labeled file" if key == "annotations" else ""
        raise ValueError(f"{name}: has no {key!r}, expected a COCO object with images, annotations and categories{hint}")
    if not isinstance(found, Sequence) or isinstance(found, (str, bytes)):
        raise ValueError(f"{name}: {key}: expected a list, got {_kind(found)}")
    if not found and key != "annotations":
        raise ValueError(f"{name}: {key!r} is empty; there is nothing to evaluate")
    return found


def _ids(rows: Sequence[Any], key: str, name: str) -> list[int]:
    for place, row in enumerate(rows):
        found = row.get("id") if isinstance(row, Mapping) else None
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 2**63:
            raise ValueError(f"{name}: {key}[{place}].id: expected a whole number of at least 0 (64 bits), got {found!r}")
    ids = [row["id"] for row in rows]
    if len(set(ids)) != len(ids):
        twice, times = Counter(ids).most_common(1)[0]
        raise ValueError(f"{name}: {key}: id {twice} is given {times} times; give each its own")
    return ids


def _categories(rows: Sequence[Any], name: str) -> dict[int, str]:
    ids = _ids(rows, "categories", name)
    for place, row in enumerate(rows):
        if not isinstance(row.get("name"), str):
            raise ValueError(f"{name}: categories[{place}].name: expected text, got {row.get('name')!r}")
    return dict(sorted(zip(ids, (row["name"] for row in rows), strict=True)))


def read_annotation(row: Any, where: str) -> dict[str, Any]:
    """What an evaluation reads of an annotation: ``image_id``, ``category_id``, ``bbox``, ``area``, ``iscrowd``, ``difficult``.

    A number of the box may be NaN or infinite: see :func:`is_finite`.

    Raises:
        ValueError: a key is missing, or a value is not of its kind; the message starts with ``where``.
    """
    if not isinstance(row, Mapping):
        raise ValueError(f"{where}: expected an object, got {_kind(row)}")
    for key in ("image_id", "category_id", "bbox"):
        if key not in row:
            raise ValueError(f"{where}: has no {key!r}")
    if not isinstance(row["image_id"], Hashable):
        raise ValueError(f"{where}.image_id: expected the id of an image, got {row['image_id']!r}")
    readers = {"category_id": whole_number, "bbox": four_numbers, "area": stated_area, "iscrowd": flag, "difficult": flag}
    found: dict[str, Any] = {"image_id": row["image_id"]}
    for key, read in readers.items():
        try:
            found[key] = read(row.get(key))
        except ValueError as error:
            raise ValueError(f"{where}.{key}: {error}") from None
    own = found["bbox"][2] * found["bbox"][3]
    area = own if math.isnan(found["area"]) else found["area"]
    return {**found, "area": area, "iscrowd": int(found["iscrowd"]), "difficult": int(found["difficult"])}


def is_finite(annotation: Mapping[str, Any]) -> bool:
    """Whether all four numbers of an annotation's box are."""
    return all(map(math.isfinite, annotation["bbox"]))


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", type(None): "nothing"}
    return names.get(type(value), repr(value))
