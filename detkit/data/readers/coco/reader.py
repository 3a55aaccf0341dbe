"""COCO JSON: images, annotations and categories in one file."""

from __future__ import annotations

import gc
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detkit.data.readers.assemble import RawLabels, assemble
from detkit.data.readers.coco.annotations import Annotations
from detkit.data.readers.coco.files import annotation_files
from detkit.data.readers.coco.ids import id_indices
from detkit.data.readers.json_files import list_format, parse_json
from detkit.data.readers.label_files import image_folder, split_names
from detkit.data.readers.locations import ImageFinder
from detkit.data.readers.other_formats import other_format
from detkit.data.readers.protocol import ReadOptions, resolve_split
from detkit.data.records import CocoFile, DetectionData, ImageId
from detkit.data.report import ReadIssue, ReadReport
from detkit.json_lists import NotStreamableError, parsed_items, read_lists
from detkit.label_values import canonical_id, parse_integer, parse_size
from detkit.structures import Size

_MOST_FILES = 20
"""Files of a folder of which at least one must not be of another format."""


class CocoReader:
    """Boxes ``x y width height`` counted from 0; ids, crowd flags and areas are kept as published."""

    name = "COCO JSON"
    kind = "coco"
    expects = "a .json file, or a folder with annotations/*.json or */_annotations.coco.json"

    def recognizes(self, path: Path) -> bool:
        """Return whether it is a JSON file, or a folder with JSON files where COCO or Roboflow put them, not all of another format."""
        if path.is_file():
            return path.suffix.lower() == ".json" and list_format(path) is None
        files = itertools.islice(annotation_files(path).values(), _MOST_FILES)
        return any(list_format(file) is None for file in files)

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the split names of a folder's annotation files: ``instances_train2017.json`` is ``train2017``."""
        return () if path.is_file() else split_names(annotation_files(path))

    def read(self, path: Path, options: ReadOptions) -> DetectionData:
        """Read one annotation file; see :class:`detkit.data.readers.protocol.Reader`."""
        split = resolve_split(path, options.split, self.splits(path))
        if path.is_dir():
            path = annotation_files(path)[split or ""]
        content = _read(path)
        raw = _labels(content, path, options)
        records = assemble(raw, options.check)
        labels = {category: label for label, category in enumerate(content.category_ids)}
        # Numbers are compared with the boxes of the file, unless these are not the boxes that were read.
        file = None if content.annotations.altered else CocoFile(str(path), labels)
        return DetectionData(str(path), content.class_names, content.category_ids, records, raw.report, file, image_root=raw.folder)


@dataclass
class _Images:
    """The images of a file, collected part by part: ids as published, names, and sizes where they are stated."""

    path: Path
    ids: list[ImageId] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    sizes: list[Size | None] = field(default_factory=list)
    _known_sizes: dict[Size, Size] = field(default_factory=dict)

    def add(self, entries: list[Any]) -> None:
        try:
            ids, names = [entry["id"] for entry in entries], [entry["file_name"] for entry in entries]
        except (KeyError, TypeError):
            invalid = next(entry for entry in entries if not isinstance(entry, dict) or not {"id", "file_name"} <= entry.keys())
            raise ValueError(f"{self.path}: every image needs an id and a file_name, got {invalid!r}") from None
        for image_id, name in zip(ids, names, strict=True):
            if not _is_id(image_id) or not isinstance(name, str) or not name:
                raise ValueError(
                    f"{self.path}: image id {image_id!r}, file_name {name!r}: expected an integer (or a string) and a non-empty string"
                )
        self.ids += [int(image_id) if isinstance(image_id, float) else image_id for image_id in ids]
        self.names += names
        sizes = (parse_size(entry) for entry in entries)
        self.sizes += [size and self._known_sizes.setdefault(size, size) for size in sizes]  # most images share a few sizes


@dataclass
class _Content:
    """The lists of a COCO file."""

    images: _Images
    annotations: Annotations
    categories: list[Any] = field(default_factory=list)
    class_names: tuple[str, ...] = ()
    category_ids: tuple[int, ...] = ()

    @classmethod
    def of(cls, path: Path) -> _Content:
        return cls(_Images(path), Annotations(str(path), ReadReport(str(path))))

    def add_text(self, key: str, text: bytes, position: int) -> None:
        if key == "annotations":
            self.annotations.add(text, position)
        elif key in ("images", "categories"):
            self.add(key, parsed_items(text))

    def add(self, key: str, entries: list[Any]) -> None:
        if key == "annotations":
            self.annotations.add_parsed(entries)
        elif key == "images":
            self.images.add(entries)
        elif key == "categories":
            self.categories += entries


def _read(path: Path) -> _Content:
    """Read a file part by part, or as a whole if that fails, so that the message of an error is that of the JSON parser."""
    content = _Content.of(path)
    with _without_garbage_collection():
        try:
            rest = read_lists(path, content.add_text)
        except NotStreamableError:
            content = _Content.of(path)
            rest = _whole(path)
            for key in _LISTS:
                content.add(key, rest[key] if isinstance(rest.get(key), list) else [])
        _check_keys(rest, path)
    content.class_names, content.category_ids = _categories(content.categories, path)
    return content


_LISTS = ("images", "annotations", "categories")


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disable the garbage collector, which would traverse millions of small lists repeatedly; nothing here is cyclic."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _whole(path: Path) -> dict[str, Any]:
    content = parse_json(path, "COCO JSON")
    other = other_format(content)
    if other is not None:
        raise ValueError(f"{path}: expected COCO annotations, got {other}")
    if isinstance(content, list):
        raise ValueError(f"{path}: expected COCO annotations, got a list, as in a results file; give the ground truth here")
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a COCO object with images, annotations and categories, got {type(content).__name__}")
    return content


def _check_keys(content: dict[str, Any], path: Path) -> None:
    for key in _LISTS:
        if not isinstance(content.get(key), list):
            other = other_format(content)
            if other is not None:
                raise ValueError(f"{path}: expected COCO annotations, got {other}")
            keys = ", ".join(itertools.islice(content, 20)) or "nothing"
            raise ValueError(f"{path}: expected a list {key!r}, as in COCO's instances files, got the keys: {keys}")


def _categories(entries: list[Any], path: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return names and ids, sorted by id, which is the familiar order of the classes."""
    try:
        pairs = [(entry["id"], entry["name"]) for entry in entries]
    except (KeyError, TypeError):
        raise ValueError(f"{path}: every category needs an id and a name; got {entries[:3]}") from None
    for number, name in pairs:
        if not isinstance(number, (int, float, str)) or isinstance(number, bool) or not isinstance(name, str) or not name.strip():
            raise ValueError(f"{path}: category id {number!r}, name {name!r}: expected an integer and a non-empty string")
    try:
        pairs = [(parse_integer(number), name) for number, name in pairs]
    except ValueError as error:
        raise ValueError(f"{path}: category id: {error}; correct the file") from None
    duplicates = [number for number, count in Counter(number for number, _ in pairs).items() if count > 1]
    if duplicates:
        raise ValueError(f"{path}: category id {duplicates[0]} belongs to several categories; expected a unique id for each category")
    if not pairs:
        raise ValueError(f"{path}: it lists no categories; expected at least one")
    pairs.sort()
    return tuple(name for _, name in pairs), tuple(number for number, _ in pairs)


def _labels(content: _Content, path: Path, options: ReadOptions) -> RawLabels:
    entries, report = content.images, content.annotations.report
    canonical = [canonical_id(image_id) for image_id in entries.ids]
    _check_unique(canonical, path)
    _report_duplicate_files(entries.names, report)
    folder = options.images or image_folder(path, entries.names, outside=options.outside)
    finder = ImageFinder(folder, str(path), outside=options.outside)
    image_index, annotations = content.annotations.joined(canonical)
    return RawLabels(
        source=str(path),
        paths=finder.find(entries.names, report),
        names=entries.names,
        image_ids=entries.ids,
        sizes=entries.sizes,
        image_index=image_index,
        boxes=annotations.boxes,
        labels=id_indices(annotations.classes, content.category_ids),
        columns=annotations.columns,
        class_ids=annotations.classes,
        folder=str(folder),
        report=report,
    )


def _is_id(value: Any) -> bool:
    try:
        canonical_id(value)
    except ValueError:
        return False
    return True


def _check_unique(ids: list[ImageId], path: Path) -> None:
    if len(set(ids)) == len(ids):
        return
    image_id, count = Counter(ids).most_common(1)[0]
    duplicates = sum(1 for number in Counter(ids).values() if number > 1)
    raise ValueError(
        f"{path}: image id {image_id!r} belongs to {count} images ({duplicates} ids occur more than once), "
        "so their boxes are ambiguous; give every image its own id"
    )


def _report_duplicate_files(names: list[str], report: ReadReport) -> None:
    for name, count in Counter(names).items():
        report.add(ReadIssue.DUPLICATE_FILE, name, count - 1)
