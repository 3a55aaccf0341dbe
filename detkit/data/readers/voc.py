"""Pascal VOC: one XML file per image, and lists of images in ``ImageSets/Main``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from detkit.data.media.files import visible
from detkit.data.readers.assemble import RawLabels, assemble
from detkit.data.readers.outlines import RawPolygons
from detkit.data.readers.protocol import resolve_split
from detkit.data.readers.voc_files import annotation_folder, image_index, listed_stems, split_files, split_folders, voc_folders
from detkit.data.records import DetectionData
from detkit.data.report import ReadIssue, ReadReport
from detkit.label_values import parse_flag
from detkit.structures import Size


class VocReader:
    """Boxes in whole pixels counted from 1, corners inclusive; read as ``x1 - 1, y1 - 1, x2, y2``."""

    name = "Pascal VOC"
    expects = "a folder with Annotations/*.xml, with .xml files, or with such folders named VOC2007, VOC2012, or train, valid, test"

    def recognizes(self, path: Path) -> bool:
        """Return whether a folder has XML files in ``Annotations`` or directly in it, or contains such folders of years or splits."""
        return path.is_dir() and bool(voc_folders(path))

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the names of the split folders, or of the lists in ``ImageSets/Main`` of all years."""
        return tuple(split_folders(path)) or tuple(dict.fromkeys(name for folder in voc_folders(path) for name in split_files(folder)))

    def read(self, path: Path, images: Path | None, split: str | None, check: int) -> DetectionData:
        """Read one split, with the classes of all splits, so that every split has the same; see ``protocol.Reader``.

        All years that have the split are combined: ``trainval`` is 2007 and 2012, ``test`` only 2007.
        """
        split = resolve_split(path, split, self.splits(path))
        source = f"{path}{f' ({split})' if split else ''}"
        folders, names = split_folders(path), set[str]()
        entries: list[_Entry] = []
        for folder in voc_folders(path):
            annotations = _annotations(folder)
            names |= {item.name for annotation in annotations.values() for item in annotation.objects}
            if not folders or folder.name == split:
                entries += _entries(folder, annotations, None if folders else split, image_index(folder, images))
        raw = _labels(entries, tuple(sorted(names)), source)
        records = assemble(raw, check)
        return DetectionData(source, tuple(sorted(names)), tuple(range(1, len(names) + 1)), records, raw.report)


@dataclass(frozen=True)
class _Object:
    """One ``<object>`` of an XML file; the box is ``x1 y1 x2 y2``, and polygons are ``x y x y ...``, in detkit's convention."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool
    polygons: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class _Annotation:
    """The content of one XML file."""

    file_name: str
    size: Size | None
    objects: tuple[_Object, ...]


def _parse(file: Path) -> _Annotation:
    data = file.read_bytes()
    if not data.strip():
        raise ValueError(f"{file}: the file is empty; expected an <annotation>; download or export it again")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ValueError(f"{file}: not readable XML ({error}); the file may be truncated, download or export it again") from None
    if root.tag != "annotation":
        hint = ", as CVAT writes; export as Pascal VOC or COCO instead" if root.tag == "annotations" else ""
        raise ValueError(f"{file}: expected <annotation> as in Pascal VOC, got <{root.tag}>{hint}")
    objects = tuple(_parse_object(node, number, file) for number, node in enumerate(root.findall("object"), 1))
    return _Annotation((root.findtext("filename") or "").strip(), _size(root), objects)


def _parse_object(node: ElementTree.Element, number: int, file: Path) -> _Object:
    name = (node.findtext("name") or "").strip()
    if not name:
        raise ValueError(f"{file}: object {number} has no <name>; expected its class")
    box = node.find("bndbox")
    if box is None:
        raise ValueError(f"{file}: object {number} ({name}) has no <bndbox>; expected xmin, ymin, xmax, ymax")
    try:
        x1, y1, x2, y2 = (float(box.findtext(tag) or "missing") for tag in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError as error:
        value = str(error).rpartition(": ")[2]
        raise ValueError(f"{file}: object {number} ({name}): expected four numbers xmin, ymin, xmax, ymax, got {value}") from None
    try:
        difficult = parse_flag(node.findtext("difficult"))
    except ValueError as error:
        raise ValueError(f"{file}: object {number} ({name}): difficult: {error}") from None
    if x2 <= x1 or y2 <= y1:  # a click without a drag; strictly a one-pixel box, but nobody labels that, so it is counted as degenerate
        return _Object(name, (x1, y1, x2, y2), difficult)
    return _Object(name, (x1 - 1, y1 - 1, x2, y2), difficult, _polygons(node))


def _polygons(node: ElementTree.Element) -> tuple[tuple[float, ...], ...]:
    """Return the outlines of an object, of which a point counted from 1 is the center of a pixel; unreadable ones are left out."""
    found = []
    for polygon in node.findall("polygon"):
        points = [(point.findtext("x"), point.findtext("y")) for point in (*polygon.findall("pt"), *polygon.findall("point"))]
        points = points or [(polygon.findtext(f"x{number}"), polygon.findtext(f"y{number}")) for number in range(1, len(polygon) // 2 + 1)]
        try:
            numbers = tuple(float(value or "missing") - 0.5 for point in points for value in point)
        except ValueError:
            continue
        if len(numbers) >= 6:
            found.append(numbers)
    return tuple(found)


def _size(root: ElementTree.Element) -> Size | None:
    try:
        size = int(float(root.findtext("size/height") or 0)), int(float(root.findtext("size/width") or 0))
    except (ValueError, OverflowError):
        return None
    return size if size[0] > 0 and size[1] > 0 else None


@dataclass(frozen=True)
class _Entry:
    """One image of a split; ``annotation`` is None if it has no XML file."""

    stem: str
    image: str
    annotation: _Annotation | None


def _annotations(folder: Path) -> dict[str, _Annotation]:
    """Parse all XML files of one year, by name without extension."""
    annotations = annotation_folder(folder)
    return {file.stem: _parse(file) for file in visible(annotations.glob("*.xml"))} if annotations else {}


def _entries(folder: Path, annotations: dict[str, _Annotation], split: str | None, images: dict[str, str]) -> list[_Entry]:
    lists = split_files(folder)
    if split is not None and split not in lists:
        return []
    stems = list(annotations) if split is None else listed_stems(lists[split], {*annotations, *images})
    return [_Entry(stem, _image_path(stem, annotations.get(stem), images), annotations.get(stem)) for stem in stems]


def _image_path(stem: str, annotation: _Annotation | None, images: dict[str, str]) -> str:
    """Return the image of an XML file: the one of the same name, or if there is none the one in ``<filename>``."""
    name = annotation.file_name.replace("\\", "/").rpartition("/")[2] if annotation else ""
    path = images.get(stem) or (images.get(Path(name).stem) if name else None)
    return path or f"{images['']}/{name or stem + '.jpg'}"


def _labels(entries: list[_Entry], names: tuple[str, ...], source: str) -> RawLabels:
    report = ReadReport(source)
    report.add_all(ReadIssue.NO_LABEL_FILE, (f"{entry.stem}.xml" for entry in entries if entry.annotation is None))
    objects = [(index, item) for index, entry in enumerate(entries) if entry.annotation for item in entry.annotation.objects]
    label = {name: index for index, name in enumerate(names)}
    polygons = RawPolygons()
    for _, item in objects:
        polygons.add(item.polygons)
    return RawLabels(
        source=source,
        paths=[entry.image for entry in entries],
        names=[f"{entry.stem}.xml" for entry in entries],
        image_ids=[entry.stem for entry in entries],
        sizes=[entry.annotation.size if entry.annotation else None for entry in entries],
        image_index=np.array([index for index, _ in objects], np.int64),
        boxes=np.array([item.box for _, item in objects], np.float64).reshape(-1, 4),
        labels=np.array([label[item.name] for _, item in objects], np.int64),
        columns={"is_difficult": np.array([item.difficult for _, item in objects], np.bool_)},
        polygons=polygons,
        report=report,
    )
