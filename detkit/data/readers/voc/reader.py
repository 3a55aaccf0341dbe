"""Pascal VOC: one XML file per image, and lists of images in ``ImageSets/Main``."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from detkit.data.readers.assemble import assemble
from detkit.data.readers.class_lists import class_names, label_map
from detkit.data.readers.locations import plain_path
from detkit.data.readers.mask_images import ImageMask
from detkit.data.readers.objects import RawEntry, RawObject, raw_labels
from detkit.data.readers.protocol import ReadOptions, resolve_split
from detkit.data.readers.text import read_xml
from detkit.data.readers.turned import box_of_turned, turned_box
from detkit.data.readers.voc.files import (
    ImageIndex,
    annotation_folder,
    label_maps,
    listed_stems,
    split_files,
    split_folders,
    voc_folders,
    xml_files,
)
from detkit.data.records import DetectionData
from detkit.data.report import ReadIssue, ReadReport
from detkit.label_values import parse_flag
from detkit.structures import Size


class VocReader:
    """Boxes in whole pixels counted from 1, corners inclusive; read as ``x1 - 1, y1 - 1, x2, y2``."""

    name = "Pascal VOC"
    kind = "voc"
    expects = "a folder with Annotations/*.xml, with .xml files, or with such folders named VOC2007, VOC2012, or train, valid, test"

    def recognizes(self, path: Path) -> bool:
        """Return whether a folder has XML files in ``Annotations`` or directly in it, or contains such folders of years or splits."""
        return path.is_dir() and bool(voc_folders(path))

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the names of the split folders, or of the lists in ``ImageSets/Main`` of all years."""
        return tuple(split_folders(path)) or tuple(dict.fromkeys(name for folder in voc_folders(path) for name in split_files(folder)))

    def read(self, path: Path, options: ReadOptions) -> DetectionData:
        """Read one split, with the classes of all splits, so that every split has the same; see ``protocol.Reader``.

        A ``labelmap.txt``, as CVAT writes it, gives the order of the classes; else they are sorted.

        All years that have the split are combined: ``trainval`` is 2007 and 2012, ``test`` only 2007.
        """
        split = resolve_split(path, options.split, self.splits(path))
        source = f"{path}{f' ({split})' if split else ''}"
        report = ReadReport(source)
        folders, names, roots = split_folders(path), set[str](), list[Path]()
        entries: list[_Entry] = []
        for folder in voc_folders(path):
            annotations = _annotations(folder)
            names |= {item.name for annotation in annotations.values() for item in annotation.objects}
            if not folders or folder.name == split:
                images = ImageIndex.of(folder, options.images)
                roots.append(images.folder)
                listed = _listed(folder, None if folders else split, annotations, images)
                entries += [_numbered(entry, folder) for entry in _entries(annotations, listed, images, report)]
        classes = class_names(names, label_maps(path), report, label_map)
        records = assemble(raw_labels([_raw_entry(entry) for entry in entries], classes, report), options.check)
        ids = tuple(range(1, len(classes) + 1))
        return DetectionData(source, classes, ids, records, report, image_root=str(roots[0]) if len(roots) == 1 else "")


@dataclass(frozen=True)
class _Annotation:
    """The content of one XML file."""

    file_name: str
    size: Size | None
    objects: tuple[RawObject, ...]


def _parse(file: Path) -> _Annotation:
    root = read_xml(file)
    if root.tag != "annotation":
        hint = ", as CVAT writes; move it into a folder without Pascal VOC files" if root.tag == "annotations" else ""
        raise ValueError(f"{file}: expected <annotation> as in Pascal VOC, got <{root.tag}>{hint}")
    objects = tuple(_parse_object(node, number, file) for number, node in enumerate(root.findall("object"), 1))
    return _Annotation((root.findtext("filename") or "").strip(), _size(root), objects)


def _parse_object(node: ElementTree.Element, number: int, file: Path) -> RawObject:
    name = (node.findtext("name") or "").strip()
    if not name:
        raise ValueError(f"{file}: object {number} has no <name>; expected its class")
    where = f"{file}: object {number} ({name})"
    try:
        difficult = parse_flag(node.findtext("difficult"))
    except ValueError as error:
        raise ValueError(f"{where}: difficult: {error}") from None
    turned = node.find("robndbox")  # of roLabelImg
    if turned is not None:
        numbers = _numbers(turned, ("cx", "cy", "w", "h", "angle"), where)
        return RawObject(name, box_of_turned(numbers, radians=True), is_difficult=difficult, issue=ReadIssue.TURNED)
    box = node.find("bndbox")
    if box is None:
        raise ValueError(f"{where} has no <bndbox>; expected xmin, ymin, xmax, ymax")
    x1, y1, x2, y2 = _numbers(box, ("xmin", "ymin", "xmax", "ymax"), where)
    if (x2 <= x1 or y2 <= y1) and not _is_thin(x1, y1, x2, y2):
        # a click without a drag; strictly a one-pixel box, but nobody labels that, so it is counted as degenerate
        return RawObject(name, (x1, y1, x2, y2), is_difficult=difficult)
    polygons, angle = _polygons(node), _angle(node)
    if angle % 180 and not polygons:
        return RawObject(name, turned_box((x1 - 1, y1 - 1, x2, y2), angle), is_difficult=difficult, issue=ReadIssue.TURNED)
    return RawObject(name, (x1 - 1, y1 - 1, x2, y2), polygons, is_difficult=difficult)


def _is_thin(x1: float, y1: float, x2: float, y2: float) -> bool:
    """Return whether corners state a box of less than a pixel, which only decimals can: its last pixel is before its first."""
    has_decimals = any(not value.is_integer() for value in (x1, y1, x2, y2) if math.isfinite(value))
    return has_decimals and x1 - 1 < x2 != x1 and y1 - 1 < y2 != y1


_COUNTS = {4: "four", 5: "five"}


def _numbers(node: ElementTree.Element, tags: tuple[str, ...], where: str) -> list[float]:
    try:
        return [float(node.findtext(tag) or "missing") for tag in tags]
    except ValueError as error:
        value = str(error).rpartition(": ")[2]
        raise ValueError(f"{where}: expected {_COUNTS[len(tags)]} numbers {', '.join(tags)}, got {value}") from None


def _angle(node: ElementTree.Element) -> float:
    """Return the rotation of an object's box in degrees, as CVAT writes it; 0 if there is none."""
    for attribute in node.findall("attributes/attribute"):
        if (attribute.findtext("name") or "").strip() == "rotation":
            try:
                angle = float(attribute.findtext("value") or 0)
            except ValueError:
                return 0.0
            return angle if math.isfinite(angle) else 0.0
    return 0.0


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
    """One image of a split; ``annotation`` is None if it has no XML file, and ``masks`` if it has no image of its objects' numbers."""

    stem: str
    image: str
    annotation: _Annotation | None
    masks: Path | None = None


def _annotations(folder: Path) -> dict[str, _Annotation]:
    """Parse all XML files of one year, by their path in the folder without extension."""
    annotations = annotation_folder(folder)
    return {stem: _parse(file) for stem, file in xml_files(annotations).items()} if annotations else {}


def _listed(folder: Path, split: str | None, annotations: dict[str, _Annotation], images: ImageIndex) -> list[str] | None:
    """Return the names of the images of a split; None for all."""
    lists = split_files(folder)
    if split is None:
        return None
    return listed_stems(lists[split], {*annotations, *images.by_stem}) if split in lists else []


def _entries(annotations: dict[str, _Annotation], listed: list[str] | None, images: ImageIndex, report: ReadReport) -> list[_Entry]:
    """Return the listed images, or all of them: those of the XML files and those without one, which have no objects."""
    entries, used = [], set[str]()
    for stem in annotations if listed is None else listed:
        annotation = annotations.get(stem)
        name = plain_path(annotation.file_name).rpartition("/")[2] if annotation else ""
        found = images.candidates(stem, name)
        entries.append(_Entry(stem, found[0] if found else str(images.folder / (name or f"{stem}.jpg")), annotation))
        report.add_all(ReadIssue.OTHER_IMAGE, map(os.path.basename, found[1:]))
        used |= set(found)
    if listed is None:
        left = [(stem, path, paths) for stem, paths in images.by_stem.items() for path in paths if path not in used]
        entries += [_Entry(stem if len(paths) == 1 else stem + os.path.splitext(path)[1], path, None) for stem, path, paths in left]
    return entries


def _numbered(entry: _Entry, folder: Path) -> _Entry:
    """Return an image with the file of its objects' numbers, if there is one."""
    file = folder / "SegmentationObject" / f"{entry.stem}.png"
    return replace(entry, masks=file) if file.is_file() else entry


def _raw_entry(entry: _Entry) -> RawEntry:
    """Return an image for the table of labels; its name in the report is that of its XML file."""
    annotation = entry.annotation or _Annotation("", None, ())
    objects = annotation.objects if entry.masks is None else _with_masks(annotation.objects, entry.masks)
    return RawEntry(f"{entry.stem}.xml", entry.stem, entry.image, annotation.size, objects, is_labeled=entry.annotation is not None)


def _with_masks(objects: Sequence[RawObject], file: Path) -> tuple[RawObject, ...]:
    """Return objects with the pixels of their numbers in VOC's ``SegmentationObject``, in which the first object of the XML file is 1."""
    masks = (ImageMask(str(file), number) for number in range(1, len(objects) + 1))
    return tuple(item if item.polygons else replace(item, mask=mask) for item, mask in zip(objects, masks, strict=True))
