"""Pascal VOC: one XML file a picture, and lists of pictures in ``ImageSets/Main``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from detkit.data.readers.assemble import RawLabels, assemble
from detkit.data.readers.protocol import chosen_split
from detkit.data.readers.voc_files import annotation_folder, listed_stems, picture_index, split_files
from detkit.data.records import DetectionData
from detkit.data.report import ReadReport, Remark
from detkit.structures import Size


class VocReader:
    """Boxes of whole pixels counted from 1, both corners inside: ``x1 - 1, y1 - 1, x2, y2`` here."""

    name = "Pascal VOC"
    expects = "a folder with Annotations/*.xml, or with .xml files"

    def recognises(self, path: Path) -> bool:
        """A folder that has XML files in ``Annotations`` or in itself."""
        return path.is_dir() and annotation_folder(path) is not None

    def splits(self, path: Path) -> tuple[str, ...]:
        """The names of the lists in ``ImageSets/Main``."""
        return tuple(split_files(path))

    def read(self, path: Path, images: Path | None, split: str | None, check: int) -> DetectionData:
        """Read one part; the classes are those of all parts, so that each part has the same. See ``protocol.Reader``."""
        part = chosen_split(path, split, self.splits(path))
        folder = annotation_folder(path)
        if folder is None:
            raise ValueError(f"{path}: expected {self.expects}")
        files = {file.stem: file for file in sorted(folder.glob("*.xml"))}
        parsed = {stem: _parse(file) for stem, file in files.items()}
        names = tuple(sorted({thing.name for page in parsed.values() for thing in page.objects}))
        source = f"{path}{f' ({part})' if part else ''}"
        stems = listed_stems(split_files(path)[part]) if part else list(files)
        raw = _labels(stems, parsed, names, picture_index(path, folder, images), source)
        records = assemble(raw, check)
        return DetectionData(source, names, tuple(range(1, len(names) + 1)), records, raw.report)


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
    difficult = (node.findtext("difficult") or "0").strip() not in ("0", "", "false")
    if x2 <= x1 or y2 <= y1:  # a click without a drag; strictly a box of one pixel, but nobody labels that: left as stated, to be counted
        return _Thing(name, (x1, y1, x2, y2), difficult)
    return _Thing(name, (x1 - 1, y1 - 1, x2, y2), difficult)


def _size(root: ElementTree.Element) -> Size | None:
    try:
        size = int(float(root.findtext("size/height") or 0)), int(float(root.findtext("size/width") or 0))
    except (ValueError, OverflowError):
        return None
    return size if size[0] > 0 and size[1] > 0 else None


def _labels(stems: list[str], parsed: dict[str, _Page], names: tuple[str, ...], pictures: dict[str, str], source: str) -> RawLabels:
    report = ReadReport(source)
    report.add_all(Remark.NO_LABEL_FILE, (f"{stem}.xml" for stem in stems if stem not in parsed))
    pages = [parsed.get(stem) or _Page("", None, ()) for stem in stems]
    things = [(index, thing) for index, page in enumerate(pages) for thing in page.objects]
    label = {name: index for index, name in enumerate(names)}
    return RawLabels(
        source=source,
        paths=[_picture(stem, page, pictures) for stem, page in zip(stems, pages, strict=True)],
        names=[f"{stem}.xml" for stem in stems],
        image_ids=list(stems),
        sizes=[page.size for page in pages],
        image_index=np.array([index for index, _ in things], np.int64),
        boxes=np.array([thing.box for _, thing in things], np.float64).reshape(-1, 4),
        labels=np.array([label[thing.name] for _, thing in things], np.int64),
        is_crowd=np.zeros(len(things), np.bool_),
        is_difficult=np.array([thing.difficult for _, thing in things], np.bool_),
        areas=np.full(len(things), np.nan),
        folder=pictures[""],
        report=report,
    )


def _picture(stem: str, page: _Page, pictures: dict[str, str]) -> str:
    """VOC names a picture as its XML file; ``<filename>`` decides only where there is no such picture."""
    named = page.file_name.replace("\\", "/").rpartition("/")[2]
    found = pictures.get(stem) or (pictures.get(Path(named).stem) if named else None)
    return found or f"{pictures['']}/{named or stem + '.jpg'}"
