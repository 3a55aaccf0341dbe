"""labelme: one JSON file per image, with shapes drawn by hand; X-AnyLabeling writes the same."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detkit.data.media.files import files_below, visible
from detkit.data.media.images import IMAGE_EXTENSIONS
from detkit.data.readers.assemble import assemble
from detkit.data.readers.class_lists import class_names, plain_list
from detkit.data.readers.json_files import parse_json
from detkit.data.readers.locations import ImageFinder, plain_path
from detkit.data.readers.objects import RawEntry, RawObject, raw_labels
from detkit.data.readers.protocol import ReadOptions, is_split_name, resolve_split
from detkit.data.readers.turned import box_around
from detkit.data.records import DetectionData
from detkit.data.report import ReadIssue, ReadReport
from detkit.label_values import parse_flag, parse_size
from detkit.structures import Size

_HEAD = 65_536
"""Bytes at the start of a file that are searched for its kind; the shapes come before the pixels, which may be in the file too."""
_SHAPES = re.compile(rb'"shapes"\s*:\s*\[')
_OUTLINES = ("polygon", "rotation")
_BOXES = ("rectangle", "mask", *_OUTLINES)
"""Types of shapes around whose points a box is drawn."""


class LabelmeReader:
    """Boxes around rectangles, polygons, circles and masks, in pixels; lines and points are skipped."""

    name = "labelme"
    kind = "labelme"
    expects = "a folder with one .json file per image, as labelme writes, or with such folders named train, valid, test"

    def recognizes(self, path: Path) -> bool:
        """Return whether it is such a file, or a folder with one, or with split folders that have one."""
        return _is_labelme(path) if path.is_file() else path.is_dir() and (_has_files(path) or bool(_split_folders(path)))

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the names of the split folders."""
        return () if path.is_file() or _has_files(path) else tuple(_split_folders(path))

    def read(self, path: Path, options: ReadOptions) -> DetectionData:
        """Read one split, with the classes of all splits; see :class:`detkit.data.readers.protocol.Reader`.

        A ``labels.txt``, as labelme itself reads it, gives the order of the classes; else they are sorted.
        """
        split = resolve_split(path, options.split, self.splits(path))
        folders = {"": path} if split is None else _split_folders(path)
        files = {name: [path] if path.is_file() else _files(folder) for name, folder in folders.items()}
        parsed = {file: _parse(file) for row in files.values() for file in row}
        report = ReadReport(f"{path}{f' ({split})' if split else ''}")
        folder = path.parent if path.is_file() else folders[split or ""]
        lists = [place / "labels.txt" for place in (path.parent if path.is_file() else path, *folders.values())]
        names = class_names({item.name for entry in parsed.values() for item in entry.objects}, lists, report, plain_list)
        entries = _raw_entries([parsed[file] for file in files[split or ""]], options, report, folder)
        images = options.images or folder
        if path.is_dir():
            entries += _unlabeled([entry.path for entry in entries], images)
        records = assemble(raw_labels(entries, names, report, folder=str(images)), options.check)
        return DetectionData(report.source, names, tuple(range(1, len(names) + 1)), records, report, image_root=str(images))


@dataclass(frozen=True)
class _Entry:
    """The content of one file."""

    file: Path
    image: str
    size: Size | None
    objects: tuple[RawObject, ...]
    skipped: int


def _is_labelme(file: Path) -> bool:
    if file.suffix.lower() != ".json" or file.name.startswith(".") or not file.is_file():
        return False
    with file.open("rb") as opened:
        return _SHAPES.search(opened.read(_HEAD)) is not None


def _has_files(folder: Path) -> bool:
    """Return whether one of the first files in a folder is labelme's."""
    candidates = itertools.chain(visible(folder.glob("*.json")), visible(folder.glob("*/*.json")))
    files = (file for file in candidates if file.parent == folder or not is_split_name(file.parent.name))
    return any(_is_labelme(file) for file in itertools.islice(files, 5))


def _split_folders(path: Path) -> dict[str, Path]:
    folders = [folder for folder in visible(path.iterdir()) if folder.is_dir() and is_split_name(folder.name)]
    is_listed = (path / "labels.txt").is_file()
    return {folder.name: folder for folder in folders if _has_files(folder) or (is_listed and _has_files_below(folder))}


def _has_files_below(folder: Path) -> bool:
    """Return whether one of the first JSON files in a folder or below it is labelme's, however deep they are."""
    files = (path for path in files_below(folder) if path.suffix.lower() == ".json")
    return any(_is_labelme(file) for file in itertools.islice(files, 5))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in files_below(folder) if _is_labelme(path))


def _parse(file: Path) -> _Entry:
    content = parse_json(file, "the labels of an image, as labelme writes them")
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise ValueError(f"{file}: expected an object with a list of shapes, as labelme writes")
    objects = [_parse_shape(shape, number, file) for number, shape in enumerate(content["shapes"], 1)]
    kept = tuple(item for item in objects if item is not None)
    size = parse_size({"height": content.get("imageHeight"), "width": content.get("imageWidth")})
    return _Entry(file, str(content.get("imagePath") or ""), size, kept, len(objects) - len(kept))


def _parse_shape(shape: Any, number: int, file: Path) -> RawObject | None:
    """Return the object of a shape; None for a line or a point."""
    where = f"{file}: shape {number}"
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str) or not shape["label"].strip():
        raise ValueError(f"{where}: expected a label, the class of the object, got {str(shape)[:200]}")
    kind = shape.get("shape_type") or "polygon"
    try:
        points = np.array(shape.get("points"), np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{where}: expected points [x, y], got {str(shape.get('points'))[:200]}") from None
    if kind == "circle" and len(points) == 2:
        radius = float(np.hypot(*(points[1] - points[0])))
        points, kind = np.array([points[0] - radius, points[0] + radius]), "rectangle"
    if kind not in _BOXES or len(points) < 2 or (kind in _OUTLINES and len(points) < 3):
        return None
    numbers = tuple(points.reshape(-1).tolist())
    try:
        difficult = parse_flag(shape.get("difficult"))
    except ValueError as error:
        raise ValueError(f"{where}: difficult: {error}") from None
    box, name = box_around(numbers), shape["label"].strip()
    if kind in _OUTLINES:
        return RawObject(name, box, (numbers,), is_difficult=difficult, issue=ReadIssue.POLYGON)
    return RawObject(name, box, is_difficult=difficult)


def _raw_entries(entries: list[_Entry], options: ReadOptions, report: ReadReport, folder: Path) -> list[RawEntry]:
    """Return the images of the files for the table of labels; their ids are the paths of the files without extension."""
    paths = _images(entries, options, report, folder)
    ids = [entry.file.relative_to(folder).with_suffix("").as_posix() for entry in entries]
    return [
        RawEntry(entry.file.name, image_id, path, entry.size, entry.objects, entry.skipped)
        for entry, image_id, path in zip(entries, ids, paths, strict=True)
    ]


def _images(entries: list[_Entry], options: ReadOptions, report: ReadReport, folder: Path) -> list[str]:
    """Return the image of each file: the one that it names, from its own folder, else the one with its name."""
    paths = []
    left: dict[int, str] = {}
    for index, entry in enumerate(entries):
        name = plain_path(entry.image).rpartition("/")[2]
        beside = [entry.file.parent / name] if name and options.images is None else []
        beside += [entry.file.with_suffix(extension) for extension in IMAGE_EXTENSIONS] if options.images is None else []
        found = next((path for path in beside if path.is_file()), None)
        paths.append(str(found or ""))
        if found is None:
            left[index] = entry.image or f"{entry.file.stem}.jpg"
    base = options.images or folder
    found_left = ImageFinder(base, report.source, outside=options.outside).find(list(left.values()), report) if left else []
    for index, path in zip(left, found_left, strict=True):
        paths[index] = path
    return paths


def _unlabeled(known: Iterable[str], folder: Path) -> list[RawEntry]:
    """Return the images below a folder that have no file; they have no objects."""
    left = sorted({str(path) for path in files_below(folder) if path.suffix.lower() in IMAGE_EXTENSIONS}.difference(known))
    names = [Path(path).relative_to(folder).as_posix() for path in left]
    return [RawEntry(name, name, path, is_labeled=False) for name, path in zip(names, left, strict=True)]
