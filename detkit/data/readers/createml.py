"""CreateML JSON: a list of images with boxes by their centers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detkit.data.readers.assemble import assemble
from detkit.data.readers.class_lists import class_names, next_to, plain_list
from detkit.data.readers.json_files import list_format, number, parse_json
from detkit.data.readers.label_files import Files, image_folder, label_files, split_names
from detkit.data.readers.locations import ImageFinder
from detkit.data.readers.objects import RawEntry, RawObject, raw_labels
from detkit.data.readers.protocol import ReadOptions, resolve_split
from detkit.data.records import DetectionData
from detkit.data.report import ReadReport

_FILE = "_annotations.createml.json"
_SIDES = ("x", "y", "width", "height")


class CreateMlReader:
    """Centers and sizes in pixels of the upright image, counted from 0; the sizes of images are not stated."""

    name = "CreateML JSON"
    kind = "createml"
    expects = f"a .json file with a list of images, each with annotations, or a folder with one, or with train/{_FILE}"

    def recognizes(self, path: Path) -> bool:
        """Return whether it is such a file, or a folder with such files where JSON labels usually are."""
        return bool(_files(path))

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the split names of the files."""
        return split_names(_files(path))

    def read(self, path: Path, options: ReadOptions) -> DetectionData:
        """Read one split, with the classes of all splits; see :class:`detkit.data.readers.protocol.Reader`.

        A ``classes.txt`` next to the labels gives the order of the classes; else they are sorted.
        """
        split = resolve_split(path, options.split, self.splits(path))
        files = _files(path)
        parsed = {file: _parse(file) for group in files.values() for file in group}
        report = ReadReport(f"{path}{f' ({split})' if split else ''}")
        used = {item.name for images in parsed.values() for _, objects in images for item in objects}
        names = class_names(used, next_to(path, parsed), report, plain_list)
        images = [image for file in files[split or ""] for image in parsed[file]]
        listed = [name for name, _ in images]
        folder = options.images or image_folder(files[split or ""][0], listed, outside=options.outside)
        paths = ImageFinder(folder, report.source, outside=options.outside).find(listed, report)
        entries = [RawEntry(name, name, file, objects=objects) for (name, objects), file in zip(images, paths, strict=True)]
        raw = raw_labels(entries, names, report, folder=str(folder), states_sizes=False)
        ids = tuple(range(1, len(names) + 1))
        return DetectionData(report.source, names, ids, assemble(raw, options.check), report, image_root=str(folder))


def _files(path: Path) -> Files:
    return label_files(path, (".json",), lambda file: list_format(file) == "createml", marker=_FILE)


def _parse(file: Path) -> list[tuple[str, list[RawObject]]]:
    """Return the name of each image, and its objects."""
    content = parse_json(file, "CreateML JSON")
    if not isinstance(content, list):
        raise ValueError(f"{file}: expected a list of images, as CreateML reads it, got {type(content).__name__}")
    return [_parse_image(entry, index, file) for index, entry in enumerate(content, 1)]


def _parse_image(entry: Any, index: int, file: Path) -> tuple[str, list[RawObject]]:
    fields = entry if isinstance(entry, dict) else {}
    name, objects = fields.get("image", fields.get("imagefilename")), fields.get("annotations", fields.get("annotation"))
    if not isinstance(name, str) or not name.strip() or not isinstance(objects, list):
        raise ValueError(f"{file}: image {index}: expected image, a file name, and annotations, a list, got {str(entry)[:200]}")
    return name, [_parse_object(value, f"{file}: image {index} ({name[:80]!r}), annotation {row}") for row, value in enumerate(objects, 1)]


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
