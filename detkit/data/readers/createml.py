"""CreateML JSON: a list of images with boxes by their centers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkit.data.readers.image_lists import ImageListReader
from detkit.data.readers.json_files import number, parse_json
from detkit.data.readers.label_files import image_folder
from detkit.data.readers.locations import ImageFinder
from detkit.data.readers.objects import RawEntry, RawObject
from detkit.data.readers.protocol import ReadOptions
from detkit.data.report import ReadReport

_SIDES = ("x", "y", "width", "height")


@dataclass(frozen=True)
class _Image:
    """One image with its objects."""

    name: str
    objects: list[RawObject]


class CreateMlReader(ImageListReader[_Image]):
    """Centers and sizes in pixels of the upright image, counted from 0; the sizes of images are not stated."""

    name = "CreateML JSON"
    kind = "createml"
    marker = "_annotations.createml.json"
    expects = f"a .json file with a list of images, each with annotations, or a folder with one, or with train/{marker}"

    def _parse(self, file: Path) -> list[_Image]:
        return _parse(file)

    def _entries(self, images: list[_Image], file: Path, options: ReadOptions, report: ReadReport) -> tuple[list[RawEntry], Path]:
        names = [image.name for image in images]
        folder = options.images or image_folder(file, names, outside=options.outside)
        paths = ImageFinder(folder, report.source, outside=options.outside).find(names, report)
        return [RawEntry(image.name, image.name, path, objects=image.objects) for image, path in zip(images, paths, strict=True)], folder


def _parse(file: Path) -> list[_Image]:
    content = parse_json(file, "CreateML JSON")
    if not isinstance(content, list):
        raise ValueError(f"{file}: expected a list of images, as CreateML reads it, got {type(content).__name__}")
    return [_parse_image(entry, index, file) for index, entry in enumerate(content, 1)]


def _parse_image(entry: Any, index: int, file: Path) -> _Image:
    fields = entry if isinstance(entry, dict) else {}
    name, objects = fields.get("image", fields.get("imagefilename")), fields.get("annotations", fields.get("annotation"))
    if not isinstance(name, str) or not name.strip() or not isinstance(objects, list):
        raise ValueError(f"{file}: image {index}: expected image, a file name, and annotations, a list, got {str(entry)[:200]}")
    where = f"{file}: image {index} ({name[:80]!r}), annotation"
    return _Image(name, [_parse_object(value, f"{where} {row}") for row, value in enumerate(objects, 1)])


def _parse_object(value: Any, where: str) -> RawObject:
    fields = value if isinstance(value, dict) else {}
    label, coordinates = fields.get("label"), fields.get("coordinates")
    if not isinstance(label, str) or not label.strip() or not isinstance(coordinates, dict):
        raise ValueError(f"{where}: expected a label, the class of the object, and coordinates, got {str(value)[:200]}")
    try:
        x, y, width, height = (number(coordinates.get(side)) for side in _SIDES)
    except ValueError as error:
        raise ValueError(f"{where}: x, y, width, height: {error}") from None
    return RawObject(label.strip(), (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
