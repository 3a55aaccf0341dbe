"""The ground truth of a data set that was read: from the COCO file itself where there is one, else from the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detkit.data.records import CocoFile, DetectionData, ImageId
from detkit.evaluation.files import read_json
from detkit.evaluation.ground_truth import GroundTruth, is_finite, read_annotation
from detkit.label_values import stated_size

FLAWED = "ground-truth boxes that are not four finite numbers"

Rows = list[dict[str, Any]]


def numbered(data: DetectionData) -> dict[ImageId, int]:
    """A number from 1 for each image: by the order of the ids if these are numbers, else by the order of the records.

    Engines order equal scores of different images by their ids, so the ids' own order is kept.
    """
    ids = data.records.image_ids
    ordered: Sequence[Any] = sorted(ids, key=int) if all(isinstance(image_id, int) for image_id in ids) else ids
    return {image_id: number for number, image_id in enumerate(ordered, 1)}


def labeled_truth(data: DetectionData, labels: frozenset[int]) -> GroundTruth:
    """The images of the data and their boxes with one of ``labels``; image ids are those of :func:`numbered`.

    Records hold float32 boxes, cut to their images. COCO's numbers are defined on the file's own boxes, so these are taken where
    there is a file; images that were turned upright because they had been labeled lying keep the records' boxes.

    Raises:
        FileNotFoundError: the COCO file is gone.
        ValueError: it is not the file any more that the data was read from.
    """
    numbers = numbered(data)
    categories = {data.category_ids[label]: data.class_names[label] for label in labels}
    if data.coco_file is None:
        rows, flawed = _of_records(data, numbers, range(len(data))), 0
    else:
        rows, flawed = _of_file(data, data.coco_file, numbers)
    annotations = [{"id": number, **row} for number, row in enumerate((row for row in rows if row["category_id"] in categories), 1)]
    left_out = {FLAWED: flawed} if flawed else {}
    files = {numbers[image_id]: path for image_id, path in zip(data.records.image_ids, data.records.paths, strict=True)}
    return GroundTruth(data.name, tuple(sorted(numbers.values())), dict(sorted(categories.items())), annotations, left_out, files)


def _of_records(data: DetectionData, numbers: Mapping[ImageId, int], places: Sequence[int]) -> Rows:
    """The boxes of the images at some places, as COCO annotations."""
    records = data.records.take(places)
    corners = records.boxes.astype(np.float64)
    columns = {
        "image_id": [numbers[records.image_ids[place]] for place in records.image_index.tolist()],
        "category_id": [data.category_ids[label] for label in records.labels.tolist()],
        "bbox": np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist(),
        "area": records.areas.tolist(),
        "iscrowd": records.is_crowd.astype(int).tolist(),
        "difficult": records.is_difficult.astype(int).tolist(),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _of_file(data: DetectionData, source: CocoFile, numbers: Mapping[ImageId, int]) -> tuple[Rows, int]:
    """The file's boxes of these images, in its order, and how many are no boxes."""
    content = read_json(source.path, "annotations")
    turned = _turned(data, content["images"], source.path)
    lying = {data.records.image_ids[place] for place in turned}
    category_ids = {category: data.category_ids[label] for category, label in source.labels.items()}
    rows: Rows = []
    flawed = 0
    for place, row in enumerate(content["annotations"]):
        image_id = row["image_id"]
        if image_id not in numbers or image_id in lying:
            continue
        read = read_annotation(row, f"{source.path}: annotations[{place}]")
        category_id = category_ids.get(read["category_id"])
        if category_id is None:
            continue
        if is_finite(read):
            rows.append({**read, "image_id": numbers[image_id], "category_id": category_id})
        else:  # the reader has told which: it left the box out of the records as well
            flawed += 1
    return rows + _of_records(data, numbers, turned), flawed


def _turned(data: DetectionData, images: Sequence[Mapping[str, Any]], name: str) -> list[int]:
    """Places of the images whose records have another size than the file states: they were labeled lying."""
    stated = {row["id"]: stated_size(row) for row in images}
    turned = []
    for place, image_id in enumerate(data.records.image_ids):
        if image_id not in stated:
            raise ValueError(f"{name}: has no image {image_id!r} any more; the file changed after the data was read, so read it again")
        if stated[image_id] not in (None, tuple(data.records.sizes[place].tolist())):
            turned.append(place)
    return turned
