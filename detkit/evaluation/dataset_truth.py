"""Ground truth of a dataset: from its COCO file where there is one, else from the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detkit.arrays import Size
from detkit.data.records import CocoFile, DetectionData, ImageId, Records
from detkit.evaluation.files import read_json
from detkit.evaluation.ground_truth import GroundTruth, is_finite, pop_masks, published_area, read_annotation
from detkit.evaluation.mask_runs import Segmentation, read_segmentation
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


def dataset_ground_truth(data: DetectionData, labels: frozenset[int], *, masks: bool = False) -> GroundTruth:
    """Return the images of the data and their boxes with one of ``labels``; image ids are those of :func:`image_numbers`.

    With ``masks``, also the masks of the objects; outlines that are none, of which the reader warned, are left out.

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
        rows, invalid = _rows_from_records(data, numbers, range(len(data)), masks), 0
    else:
        rows, invalid = _rows_from_file(data, data.coco_file, numbers, masks)
    rows = [row for row in rows if row["category_id"] in categories] + _regions_by_class(rows, categories)
    annotations = [{"id": number, **row} for number, row in enumerate(rows, 1)]
    left_out = {INVALID: invalid} if invalid else {}
    files = {numbers[image_id]: path for image_id, path in zip(data.records.image_ids, data.records.paths, strict=True)}
    sizes = {numbers[image_id]: _size(row) for image_id, row in zip(data.records.image_ids, data.records.sizes.tolist(), strict=True)}
    own = pop_masks(annotations, sizes, data.name) if masks else None
    ids, classes = tuple(sorted(numbers.values())), dict(sorted(categories.items()))
    return GroundTruth(data.name, ids, classes, annotations, left_out, files, sizes=sizes if masks else {}, masks=own)


_NO_CLASS = int(np.iinfo(np.int64).min)
"""Category id of a region that is to be ignored for every class."""


def _regions_by_class(rows: Rows, categories: Mapping[int, str]) -> Rows:
    """Return a crowd of every category for each region that is of no class."""
    regions = enumerate((row for row in rows if row["category_id"] == _NO_CLASS), 1)
    return [{**row, "category_id": category, "region": number} for number, row in regions for category in sorted(categories)]


def _size(row: Sequence[int]) -> Size:
    return row[0], row[1]


def _segmentation(value: Any) -> Segmentation | None:
    """Return a checked segmentation; None for what is none, which the reader has reported."""
    try:
        return read_segmentation(value, "")
    except ValueError:
        return None


def _mask_columns(records: Records) -> dict[str, list[Any]]:
    """Return the segmentations of the objects, and their areas where these are not those of the boxes."""
    count, boxes = len(records.boxes), records.boxes.astype(np.float64)
    values = [None] * count if records.segmentations is None else [records.segmentations.stored(row) for row in range(count)]
    published = ~np.isclose(records.areas, (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), rtol=1e-4)
    areas = [area if known else None for area, known in zip(records.areas.tolist(), published.tolist(), strict=True)]
    return {"segmentation": [_segmentation(value) for value in values], "published_area": areas}


def _rows_from_records(data: DetectionData, numbers: Mapping[ImageId, int], indices: Sequence[int], masks: bool = False) -> Rows:
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
        **(_mask_columns(records) if masks else {}),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rows_from_file(data: DetectionData, source: CocoFile, numbers: Mapping[ImageId, int], masks: bool) -> tuple[Rows, int]:
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
            annotation |= {"segmentation": _segmentation(row.get("segmentation")), "published_area": published_area(row)} if masks else {}
            rows.append({**annotation, "image_id": number, "category_id": category_id, "iscrowd": crowd})
        else:  # already reported by the reader, which skipped the box as well
            invalid += 1
    return rows + _rows_from_records(data, numbers, rotated, masks), invalid


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
