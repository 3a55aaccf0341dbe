"""Pascal VOC: one XML file a image, and lists of images in ``ImageSets/Main``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from detkit.data.files import visible
from detkit.data.readers.assemble import RawLabels, assemble
from detkit.data.readers.protocol import chosen_split
from detkit.data.readers.voc_files import annotation_folder, image_index, listed_stems, part_folders, split_files, voc_folders
from detkit.data.records import DetectionData
from detkit.data.report import ReadReport, Remark
from detkit.label_values import flag
from detkit.structures import Size


class VocReader:
    """Boxes of whole pixels counted from 1, both corners inside: ``x1 - 1, y1 - 1, x2, y2`` here."""

    name = "Pascal VOC"
    expects = "a folder with Annotations/*.xml, with .xml files, or with such folders named VOC2007, VOC2012, or train, valid, test"

    def recognizes(self, path: Path) -> bool:
        """A folder that has XML files in ``Annotations`` or in itself, or holds such folders of years or of parts."""
        return path.is_dir() and bool(voc_folders(path))

    def splits(self, path: Path) -> tuple[str, ...]:
        """The names of the folders that are parts, or of the lists in ``ImageSets/Main``, of all years."""
        return tuple(part_folders(path)) or tuple(dict.fromkeys(name for folder in voc_folders(path) for name in split_files(folder)))

    def read(self, path: Path, images: Path | None, split: str | None, check: int) -> DetectionData:
        """Read one part; the classes are those of all parts, so that each part has the same. See ``protocol.Reader``.

        Of several years those that have the part are joined: ``trainval`` is 2007 and 2012, ``test`` 2007 alone.
        """
        part = chosen_split(path, split, self.splits(path))
        source = f"{path}{f' ({part})' if part else ''}"
        parts, names = part_folders(path), set[str]()
        entries: list[_Entry] = []
        for folder in voc_folders(path):
            pages = _pages(folder)
            names |= {thing.name for page in pages.values() for thing in page.objects}
            if not parts or folder.name == part:
                entries += _entries(folder, pages, None if parts else part, image_index(folder, images))
        raw = _labels(entries, tuple(sorted(names)), source)
        records = assemble(raw, check)
        return DetectionData(source, tuple(sorted(names)), tuple(range(1, len(names) + 1)), records, raw.report)


@dataclass(frozen=True)
class _Thing:
    name: str
    box: tuple[float, float, float, float]
    difficult: bool


@dataclass(frozen=True)
class _Page:
    file_name: str
    size: Size | None
    objects: tuple[_Thing, ...]


def _parse(file: Path) -> _Page:
    data = file.read_bytes()
    if not data.strip():
        raise ValueError(f"{file}: the file is empty; expected an <annotation>; fetch or export it again")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ValueError(f"{file}: not readable XML ({error}); the file may be cut off, fetch or export it again") from None
    if root.tag != "annotation":
        hint = ", as CVAT writes; export as Pascal VOC or COCO instead" if root.tag == "annotations" else ""
        raise ValueError(f"{file}: expected <annotation> as Pascal VOC has it, got <{root.tag}>{hint}")
    things = tuple(_thing(node, number, file) for number, node in enumerate(root.findall("object"), 1))
    return _Page((root.findtext("filename") or "").strip(), _size(root), things)


def _thing(node: ElementTree.Element, number: int, file: Path) -> _Thing:
    name = (node.findtext("name") or "").strip()
    if not name:
        raise ValueError(f"{file}: object {number} has no <name>; expected its class")
    box = node.find("bndbox")
    if box is None:
        raise ValueError(f"{file}: object {number} ({name}) has no <bndbox>; expected xmin, ymin, xmax, ymax")
    try:
        x1, y1, x2, y2 = (float(box.findtext(tag) or "missing") for tag in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError as error:
        what = str(error).rpartition(": ")[2]
        raise ValueError(f"{file}: object {number} ({name}): expected four numbers xmin, ymin, xmax, ymax, got {what}") from None
    try:
        difficult = flag(node.findtext("difficult"))
    except ValueError as error:
        raise ValueError(f"{file}: object {number} ({name}): difficult: {error}") from None
    if x2 <= x1 or y2 <= y1:  # a click without a drag; strictly a box of one pixel, but nobody labels that: left as stated, to be counted
        return _Thing(name, (x1, y1, x2, y2), difficult)
    return _Thing(name, (x1 - 1, y1 - 1, x2, y2), difficult)


def _size(root: ElementTree.Element) -> Size | None:
    try:
        size = int(float(root.findtext("size/height") or 0)), int(float(root.findtext("size/width") or 0))
    except (ValueError, OverflowError):
        return None
    return size if size[0] > 0 and size[1] > 0 else None


@dataclass(frozen=True)
class _Entry:
    """One image of a part; ``page`` is None where there is no XML file."""

    stem: str
    image: str
    page: _Page | None


def _pages(folder: Path) -> dict[str, _Page]:
    """All XML files of one year, by name without ending."""
    annotations = annotation_folder(folder)
    return {file.stem: _parse(file) for file in visible(annotations.glob("*.xml"))} if annotations else {}


def _entries(folder: Path, pages: dict[str, _Page], part: str | None, images: dict[str, str]) -> list[_Entry]:
    lists = split_files(folder)
    if part is not None and part not in lists:
        return []
    stems = list(pages) if part is None else listed_stems(lists[part], {*pages, *images})
    return [_Entry(stem, _image(stem, pages.get(stem), images), pages.get(stem)) for stem in stems]


def _image(stem: str, page: _Page | None, images: dict[str, str]) -> str:
    """VOC names a image as its XML file; ``<filename>`` decides only where there is no such image."""
    named = page.file_name.replace("\\", "/").rpartition("/")[2] if page else ""
    found = images.get(stem) or (images.get(Path(named).stem) if named else None)
    return found or f"{images['']}/{named or stem + '.jpg'}"


def _labels(entries: list[_Entry], names: tuple[str, ...], source: str) -> RawLabels:
    report = ReadReport(source)
    report.add_all(Remark.NO_LABEL_FILE, (f"{entry.stem}.xml" for entry in entries if entry.page is None))
    things = [(index, thing) for index, entry in enumerate(entries) if entry.page for thing in entry.page.objects]
    label = {name: index for index, name in enumerate(names)}
    return RawLabels(
        source=source,
        paths=[entry.image for entry in entries],
        names=[f"{entry.stem}.xml" for entry in entries],
        image_ids=[entry.stem for entry in entries],
        sizes=[entry.page.size if entry.page else None for entry in entries],
        image_index=np.array([index for index, _ in things], np.int64),
        boxes=np.array([thing.box for _, thing in things], np.float64).reshape(-1, 4),
        labels=np.array([label[thing.name] for _, thing in things], np.int64),
        is_crowd=np.zeros(len(things), np.bool_),
        is_difficult=np.array([thing.difficult for _, thing in things], np.bool_),
        areas=np.full(len(things), np.nan),
        report=report,
    )
