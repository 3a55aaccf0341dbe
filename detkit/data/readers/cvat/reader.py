"""CVAT's own XML: all images of a task in one file, or the tracks of a video by frame."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable
from html import unescape
from pathlib import Path

from detkit.data.media.files import files_below, read_regular, visible
from detkit.data.media.images import IMAGE_EXTENSIONS
from detkit.data.readers.assemble import assemble
from detkit.data.readers.cvat.elements import CvatFile, CvatImage, parse_file
from detkit.data.readers.label_files import by_split, image_folder
from detkit.data.readers.locations import ImageFinder
from detkit.data.readers.objects import RawEntry, raw_labels
from detkit.data.readers.protocol import ReadOptions, is_split_name, resolve_split
from detkit.data.records import DetectionData
from detkit.data.report import ReadReport

_HEAD = 4_096
_LABEL_FOLDERS = ("annotations", "labels")
_ROOT = re.compile(rb"\s*(?:<\?xml.*?\?>)?(?:\s|<!--.*?-->)*<annotations[\s>/]", re.DOTALL)
_IMAGE = re.compile(rb"""<image\s(?:[^>"']|"[^"]*"|'[^']*')*>""")
_SUBSET = re.compile(rb"""\ssubset\s*=\s*(["'])(.*?)\1""", re.DOTALL)
_DEFAULT = "default"
"""CVAT's name for the subset of images without one."""

_FRAME = re.compile(r"frame_(\d+)$")
"""Names of the frames that CVAT exports with a video."""


class CvatReader:
    """Boxes in pixels counted from 0, polygons, masks and ellipses; lines, points, skeletons, cuboids and tags are skipped."""

    name = "CVAT XML"
    kind = "cvat"
    expects = "an annotations.xml, as CVAT exports it, or a folder with one"

    def recognizes(self, path: Path) -> bool:
        """Return whether it is such a file, or a folder with such files where it has XML files."""
        return bool(_files(path))

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the subsets of the images, or the split names of several files."""
        files = _files(path)
        return _subsets(files) or (tuple(by_split(files)) if len(files) > 1 else ())

    def read(self, path: Path, options: ReadOptions) -> DetectionData:
        """Read one split, with the classes of the whole file; see :class:`detkit.data.readers.protocol.Reader`.

        The classes have the order of the labels in CVAT.
        """
        split = resolve_split(path, options.split, self.splits(path))
        files = _files(path)
        parsed = [parse_file(file) for file in files]
        report = ReadReport(f"{path}{f' ({split})' if split else ''}")
        listed = dict.fromkeys(name for content in parsed for name in content.labels)
        names = (*listed, *sorted({item.name for content in parsed for item in content.objects}.difference(listed)))
        is_subset = split is not None and bool(_subsets(files))
        selected = files if split is None or is_subset else [by_split(files)[split]]
        contents = [content for file, content in zip(files, parsed, strict=True) if file in selected]
        entries, folder = _entries(contents, split if is_subset else None, selected[0], options, report)
        records = assemble(raw_labels(entries, names, report, folder=str(folder)), options.check)
        return DetectionData(report.source, names, tuple(range(1, len(names) + 1)), records, report, image_root=str(folder))


def is_cvat(file: Path) -> bool:
    """Return whether a file is XML with the root ``<annotations>``."""
    if file.suffix.lower() != ".xml" or not file.is_file():
        return False
    with file.open("rb") as opened:
        return _ROOT.match(opened.read(_HEAD).removeprefix(b"\xef\xbb\xbf")) is not None


def _files(path: Path) -> list[Path]:
    """Return the files of a data set: the path itself, or those in a folder of labels, in the folder, or in the folders of splits."""
    if path.is_file():
        return [path] if is_cvat(path) else []
    entries = visible(path.iterdir()) if path.is_dir() else []
    labels = [entry for entry in entries if entry.name.lower() in _LABEL_FOLDERS and entry.is_dir()]
    splits = [entry for entry in entries if is_split_name(entry.name) and entry.is_dir()]
    for group in (labels, [path], splits):
        files = [file for folder in group for file in _xml_files(folder)]
        if files:
            return files if all(map(is_cvat, files)) else []
    return []


def _xml_files(folder: Path) -> list[Path]:
    """Return the XML files in a folder; only a few of them if they are not CVAT's, since those are as many as images."""
    files = iter([entry for entry in os.scandir(folder) if entry.name.lower().endswith(".xml") and not entry.name.startswith(".")])
    first = [Path(entry) for entry in itertools.islice(files, 5)]
    return visible([*first, *map(Path, files)]) if all(map(is_cvat, first)) else first


def _subsets(files: Iterable[Path]) -> tuple[str, ...]:
    """Return the subsets of all images, in the order in which they first occur; empty if no image has one."""
    found: dict[str, None] = {}
    for file in files:
        for tag in _IMAGE.finditer(read_regular(file)):
            subset = _SUBSET.search(tag.group())
            found[unescape(subset.group(2).decode("utf-8", "replace")).strip() if subset else ""] = None
    return tuple(name or _DEFAULT for name in found) if any(found) else ()


def _entries(
    contents: list[CvatFile], subset: str | None, file: Path, options: ReadOptions, report: ReadReport
) -> tuple[list[RawEntry], Path]:
    """Return the images of a subset (None: all), and the folder that they are in; ``file`` is that of the labels."""
    images = [image for content in contents for image in content.images if subset is None or (image.subset or _DEFAULT) == subset]
    frames = {number: image for content in contents for number, image in content.frames.items()}
    if frames and not images:
        return _frames(frames, options.images or file.parent, report)
    names = [image.name for image in images]
    folder = options.images or image_folder(file, names, outside=options.outside)
    paths = ImageFinder(folder, report.source, outside=options.outside).find(names, report)
    numbers = [image.number for image in images]
    ids = [number for number in numbers if number is not None]
    unique = len(set(ids)) == len(images)
    entries = [
        RawEntry(image.name, ids[index] if unique else image.name, path, image.size, image.objects, image.skipped)
        for index, (image, path) in enumerate(zip(images, paths, strict=True))
    ]
    return entries, folder


def _frames(frames: dict[int, CvatImage], folder: Path, report: ReadReport) -> tuple[list[RawEntry], Path]:
    """Return the frames of a video that were exported as images, with their objects."""
    files = {path.stem: path for path in files_below(folder) if path.suffix.lower() in IMAGE_EXTENSIONS}
    found = {int(match.group(1)): path for stem, path in files.items() if (match := _FRAME.match(stem)) is not None}
    if found.keys().isdisjoint(frames):
        raise ValueError(
            f"{report.source}: it labels a video by frame, and none of its frames is below {folder}; expected images named "
            f"frame_{min(frames):06d}.png and so on: export it with images, or as CVAT for images"
        )
    entries = []
    for number in sorted({*found, *frames}):
        path = found.get(number, folder / f"frame_{number:06d}.png")
        frame = frames.get(number) or CvatImage("", number)
        entries.append(RawEntry(path.name, number, str(path), frame.size, frame.objects, frame.skipped))
    parents = {path.parent for path in found.values()}
    return entries, parents.pop() if len(parents) == 1 else folder
