"""Ground truth of a dataset: from its COCO file where there is one, else from the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detkit.data.records import CocoFile, DetectionData, ImageId
from detkit.evaluation.files import read_json
from detkit.evaluation.ground_truth import GroundTruth, is_finite, read_annotation
from detkit.label_values import canonical_id, parse_size

INVALID = "ground-truth boxes that are not four finite numbers"

Rows = list[dict[str, Any]]


def image_numbers(data: DetectionData) -> dict[ImageId, int]:
    """Number the images from 1: in the order of their ids if these are integers, else in the order of the records.

    The evaluators order equal scores of different images by image id, so the order of the ids is kept.
    """
    ids = data.records.image_ids
    ordered: Sequence[Any] = sorted(ids, key=int) if all(isinstance(image_id, int) for image_id in ids) else ids
    return {image_id: number for number, image_id in enumerate(ordered, 1)}


def dataset_ground_truth(data: DetectionData, labels: frozenset[int]) -> GroundTruth:
    """Return the images of the data and their boxes with one of ``labels``; image ids are those of :func:`image_numbers`.

    Records hold float32 boxes clipped to their images. COCO's metrics are defined on the boxes of the file, so these are used where
    there is a file. Images that were labeled without their EXIF rotation, and rotated upright when read, use the records' boxes.
    A region to ignore for every class is a crowd of each class, with the number of the region as ``region``.

    Raises:
        FileNotFoundError: If the COCO file no longer exists.
        ValueError: If the file has changed since the data was read.
    """
    numbers = image_numbers(data)
    categories = {data.category_ids[label]: data.class_names[label] for label in labels}
    if data.coco_file is None:
        rows, invalid = _rows_from_records(data, numbers, range(len(data))), 0
    else:
        rows, invalid = _rows_from_file(data, data.coco_file, numbers)
    rows = [row for row in rows if row["category_id"] in categories] + _regions_by_class(rows, categories)
    annotations = [{"id": number, **row} for number, row in enumerate(rows, 1)]
    left_out = {INVALID: invalid} if invalid else {}
    files = {numbers[image_id]: path for image_id, path in zip(data.records.image_ids, data.records.paths, strict=True)}
    return GroundTruth(data.name, tuple(sorted(numbers.values())), dict(sorted(categories.items())), annotations, left_out, files)


_NO_CLASS = int(np.iinfo(np.int64).min)
"""Category id of a region that is to be ignored for every class."""


def _regions_by_class(rows: Rows, categories: Mapping[int, str]) -> Rows:
    """Return a crowd of every category for each region that is of no class."""
    regions = enumerate((row for row in rows if row["category_id"] == _NO_CLASS), 1)
    return [{**row, "category_id": category, "region": number} for number, row in regions for category in sorted(categories)]


def _rows_from_records(data: DetectionData, numbers: Mapping[ImageId, int], indices: Sequence[int]) -> Rows:
    """Return the boxes of the images with these indices as COCO annotations."""
    records = data.records.take(indices)
    corners = records.boxes.astype(np.float64)
    columns = {
        "image_id": [numbers[records.image_ids[index]] for index in records.image_index.tolist()],
        "category_id": np.where(records.is_ignore, _NO_CLASS, np.array([*data.category_ids, _NO_CLASS])[records.labels]).tolist(),
        "bbox": np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist(),
        "area": records.areas.tolist(),
        "iscrowd": records.is_crowd.astype(int).tolist(),
        "difficult": records.is_difficult.astype(int).tolist(),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rows_from_file(data: DetectionData, source: CocoFile, numbers: Mapping[ImageId, int]) -> tuple[Rows, int]:
    """Return the boxes of these images in the order of the file, and the number of invalid boxes."""
    content = read_json(source.path, "annotations")
    rotated = _rotated_images(data, content["images"], source.path)
    rotated_ids = {data.records.image_ids[index] for index in rotated}
    category_ids = {category: data.category_ids[label] for category, label in source.labels.items()}
    category_ids |= dict.fromkeys(source.ignored, _NO_CLASS)
    upright = {canonical_id(image_id): number for image_id, number in numbers.items() if image_id not in rotated_ids}
    rows: Rows = []
    invalid = 0
    for index, row in enumerate(content["annotations"]):
        number = upright.get(canonical_id(row["image_id"]))
        if number is None:
            continue
        annotation = read_annotation(row, f"{source.path}: annotations[{index}]")
        category_id = category_ids.get(annotation["category_id"])
        if category_id is None:
            continue
        if is_finite(annotation):
            is_region = category_id == _NO_CLASS or (source.ignores_difficult and annotation["difficult"])
            crowd = 1 if is_region else annotation["iscrowd"]
            rows.append({**annotation, "image_id": number, "category_id": category_id, "iscrowd": crowd})
        else:  # already reported by the reader, which skipped the box as well
            invalid += 1
    return rows + _rows_from_records(data, numbers, rotated), invalid


def _rotated_images(data: DetectionData, images: Sequence[Mapping[str, Any]], name: str) -> list[int]:
    """Return the indices of images whose size differs from the one in the file: they were labeled without their EXIF rotation."""
    stated = {canonical_id(row["id"]): parse_size(row) for row in images}
    rotated = []
    for index, image_id in enumerate(data.records.image_ids):
        size = stated.get(canonical_id(image_id), ())
        if size == ():
            raise ValueError(f"{name}: image {image_id!r} is no longer in the file; read the data again")
        if size not in (None, tuple(data.records.sizes[index].tolist())):
            rotated.append(index)
    return rotated
