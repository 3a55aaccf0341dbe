"""Tasks of Label Studio's JSON: the image, the annotation that counts, and its regions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from detkit.data.media.images import IMAGE_EXTENSIONS
from detkit.data.readers.json_files import number, parse_json
from detkit.data.readers.locations import plain_path
from detkit.data.readers.objects import RawObject
from detkit.data.readers.turned import Box, box_around, ellipse_box
from detkit.data.report import ReadIssue
from detkit.label_values import parse_size
from detkit.structures import Size


@dataclass(frozen=True)
class Task:
    """One image with the objects of one annotation.

    Attributes:
        task_id: Its id; None if it has no number.
        image: The path of its image, without a server or drive.
        is_upload: Whether Label Studio has put a random prefix before the name of the image.
        size: The size of the image, if a region states it.
        objects: The objects.
        skipped: Number of regions that are no rectangles, ellipses or polygons.
        others: Number of other annotations.
        predictions: Number of predictions.
        is_labeled: Whether the image has an annotation.
        is_turned: Whether the image was turned while it was labeled.
    """

    task_id: int | None
    image: str
    is_upload: bool
    size: Size | None
    objects: tuple[RawObject, ...]
    skipped: int
    others: int
    predictions: int
    is_labeled: bool
    is_turned: bool


def parse_file(file: Path) -> list[Task]:
    """Return the tasks of a file, of the export called JSON or JSON-MIN.

    Raises:
        ValueError: If it is no such file, or if a value is missing or no number; the message names file, task and region.
    """
    content = parse_json(file, "the JSON of Label Studio")
    if not isinstance(content, list):
        raise ValueError(f"{file}: expected a list of tasks, as Label Studio exports it, got {type(content).__name__}")
    for index, entry in enumerate(content, 1):
        if not isinstance(entry, dict):
            raise ValueError(f"{file}: task {index}: expected an object with data and annotations, got {str(entry)[:200]}")
    entries = _with_annotations(content)
    return [_task(entry, f"{file}: task {str(entry.get('id', index))[:40]!r}") for index, entry in enumerate(entries, 1)]


def _with_annotations(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tasks of JSON-MIN, which has an entry for each annotation, in the form of JSON; those of JSON are left as they are."""
    tasks: dict[Any, dict[str, Any]] = {}
    for index, entry in enumerate(content):
        if "data" in entry or "annotations" in entry or "completions" in entry:
            tasks[index, None] = entry
            continue
        regions = [value for values in entry.values() if isinstance(values, list) for value in values if isinstance(value, dict)]
        key = entry["id"] if isinstance(entry.get("id"), (int, str)) else (index, None)
        task = tasks.setdefault(key, {"id": entry.get("id"), "data": entry, "annotations": []})
        task["annotations"].append({**entry, "id": entry.get("annotation_id"), "result": [_full_region(region) for region in regions]})
    return list(tasks.values())


def _full_region(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "type": next((key for key in value if str(key).endswith("labels")), ""), "value": value}


def _task(entry: dict[str, Any], where: str) -> Task:
    image = _image(entry.get("data"), where)
    annotations = _dicts(entry.get("annotations", entry.get("completions")), f"{where}: annotations")
    counted = [annotation for annotation in annotations if annotation.get("was_cancelled") is not True]
    chosen = max(enumerate(counted), key=_rank)[1] if counted else {}
    where = f"{where} ({image[:80]!r})"
    regions = _dicts(chosen.get("result", chosen.get("value")), f"{where}: result")
    size = next((size for region in regions if (size := _size(region)) is not None), None)
    names = _names_by_id(regions)
    objects = tuple(item for index, region in enumerate(regions, 1) for item in _objects(region, names, f"{where}, region {index}"))
    predictions = entry.get("predictions")
    return Task(
        task_id=entry["id"] if isinstance(entry.get("id"), int) and not isinstance(entry["id"], bool) else None,
        image=unquote(plain_path(image)).lstrip("/"),
        is_upload="/upload/" in image,
        size=size,
        objects=objects,
        skipped=sum(_is_other(region) for region in regions),
        others=len(annotations) - bool(counted),
        predictions=len(predictions) if isinstance(predictions, list) else 0,
        is_labeled=bool(counted),
        is_turned=any(region.get("image_rotation") for region in regions),
    )


def _rank(item: tuple[int, dict[str, Any]]) -> tuple[bool, str, int]:
    """Return what orders annotations: the ground truth, then the newest one, then the last one."""
    index, annotation = item
    return annotation.get("ground_truth") is True, str(annotation.get("updated_at") or annotation.get("created_at") or ""), index


def _image(data: Any, where: str) -> str:
    """Return the image of a task: the value called image, or the first one that is the name of an image."""
    values = data if isinstance(data, dict) else {}
    named = [values.get("image"), *values.values()]
    texts = [value for value in named if isinstance(value, str) and value.strip()]
    found = next((text for text in texts if text.partition("?")[0].lower().endswith(IMAGE_EXTENSIONS) or "?d=" in text), None)
    if found is None and not (texts and texts[0] == values.get("image")):
        raise ValueError(f"{where}: expected data with an image, the name of a file, got {str(data)[:200]}")
    return texts[0] if found is None or texts[0] == values.get("image") else found


def _dicts(value: Any, where: str) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"{where}: expected a list of objects, got {str(value)[:200]}")
    return value


def _size(region: dict[str, Any]) -> Size | None:
    return parse_size({"width": region.get("original_width"), "height": region.get("original_height")})


_SHAPES = ("rectangle", "ellipse", "polygon")
_NAMES = tuple(f"{shape}labels" for shape in _SHAPES)


def _is_other(region: dict[str, Any]) -> bool:
    """Return whether a region has a place in the image but is no box or polygon; choices, texts and relations have none."""
    kind = str(region.get("type"))
    return kind not in (*_SHAPES, *_NAMES) and kind.removesuffix("labels") in ("brush", "keypoint", "videorectangle", "bitmask", "vector")


def _names_by_id(regions: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the classes of regions whose classes are in a result of their own, of the type labels."""
    names: dict[str, list[Any]] = {}
    for region in regions:
        value = region.get("value")
        labels = value.get("labels") if isinstance(value, dict) else None
        if isinstance(labels, list):
            names.setdefault(str(region.get("id")), labels)
    return names


def _objects(region: dict[str, Any], names: Mapping[str, list[Any]], where: str) -> Iterator[RawObject]:
    """Yield an object for each class of a region."""
    kind, value = str(region.get("type")), region.get("value")
    if kind not in (*_SHAPES, *_NAMES):
        return
    fields = value if isinstance(value, dict) else {}
    labels = fields.get(kind) or fields.get("labels") or names.get(str(region.get("id")))
    if not isinstance(labels, list) or not all(isinstance(name, str) and name.strip() for name in labels):
        raise ValueError(f"{where}: expected the class of a {kind.removesuffix('labels')}, got {str(labels)[:200]}")
    size = _size(region)
    if size is None:
        raise ValueError(f"{where}: expected original_width and original_height, whole numbers above 0, got {str(region)[:200]}")
    try:
        box, polygon, issue = _geometry(kind.removesuffix("labels"), fields, size)
    except ValueError as error:
        raise ValueError(f"{where} ({labels[0][:80]!r}): {error}") from None
    for name in labels:
        yield RawObject(name.strip(), box, (polygon,) if polygon else (), issue=issue)


def _geometry(kind: str, fields: dict[str, Any], size: Size) -> tuple[Box, tuple[float, ...], ReadIssue | None]:
    """Return box, outline, and what is reported; the values are in percent of the image."""
    x_unit, y_unit = size[1] / 100, size[0] / 100
    if kind == "polygon":
        points = fields.get("points")
        if not isinstance(points, list) or len(points) < 3 or any(not isinstance(point, list) or len(point) != 2 for point in points):
            raise ValueError(f"expected three or more points [x, y], got {str(points)[:80]}")
        outline = tuple(number(value) * unit for point in points for value, unit in zip(point, (x_unit, y_unit), strict=True))
        return box_around(outline), outline, ReadIssue.POLYGON
    sides = ("radiusX", "radiusY") if kind == "ellipse" else ("width", "height")
    x, y = number(fields.get("x")) * x_unit, number(fields.get("y")) * y_unit
    width, height = number(fields.get(sides[0])) * x_unit, number(fields.get(sides[1])) * y_unit
    degrees = number(fields.get("rotation") or 0)
    if not math.isfinite(degrees):
        raise ValueError(f"rotation: expected degrees, got {degrees}")
    if kind == "ellipse":
        return ellipse_box((x, y), (width, height), degrees), (), ReadIssue.ELLIPSE
    if not degrees % 360:
        return (x, y, x + width, y + height), (), None
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))  # about the corner x, y
    corners = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    return box_around([value for a, b in corners for value in (x + a * cosine - b * sine, y + a * sine + b * cosine)]), (), ReadIssue.TURNED
