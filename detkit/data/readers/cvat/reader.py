"""CVAT's own XML: all images of a task in one file, or the tracks of a video by frame."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape
from pathlib import Path

from detkit.data.media.files import files_below, read_regular
from detkit.data.media.images import IMAGE_EXTENSIONS
from detkit.data.readers.assemble import assemble
from detkit.data.readers.cvat.elements import CvatFile, CvatImage, parse_file
from detkit.data.readers.label_files import Files, image_folder, label_files, split_names
from detkit.data.readers.locations import ImageFinder
from detkit.data.readers.objects import RawEntry, raw_labels
from detkit.data.readers.protocol import ReadOptions, resolve_split
from detkit.data.records import DetectionData
from detkit.data.report import ReadReport

_HEAD = 4_096
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
        """Return the split names of the files, or else the subsets of their images."""
        files = _files(path)
        return split_names(files) or _subsets(files.get("", ()))

    def read(self, path: Path, options: ReadOptions) -> DetectionData:
        """Read one split, with the classes of all; see :class:`detkit.data.readers.protocol.Reader`.

        The classes have the order of the labels in CVAT.
        """
        split = resolve_split(path, options.split, self.splits(path))
        files = _files(path)
        parsed = {file: parse_file(file) for group in files.values() for file in group}
        report = ReadReport(f"{path}{f' ({split})' if split else ''}")
        listed = dict.fromkeys(name for content in parsed.values() for name in content.labels)
        names = (*listed, *sorted({item.name for content in parsed.values() for item in content.objects}.difference(listed)))
        selected = files.get(split or "") or files[""]
        subset = None if split is None or split in files else split
        entries, folder = _entries({file: parsed[file] for file in selected}, subset, options, report)
        records = assemble(raw_labels(entries, names, report, folder=str(folder)), options.check)
        return DetectionData(report.source, names, tuple(range(1, len(names) + 1)), records, report, image_root=str(folder))


def is_cvat(file: Path) -> bool:
    """Return whether a file is XML with the root ``<annotations>``."""
    if file.suffix.lower() != ".xml" or not file.is_file():
        return False
    with file.open("rb") as opened:
        return _ROOT.match(opened.read(_HEAD).removeprefix(b"\xef\xbb\xbf")) is not None


def _files(path: Path) -> Files:
    return label_files(path, (".xml",), is_cvat, marker="annotations.xml", alone=True)


def _subsets(files: Iterable[Path]) -> tuple[str, ...]:
    """Return the subsets of all images, in the order in which they first occur; empty if no image has one."""
    found: dict[str, None] = {}
    for file in files:
        for tag in _IMAGE.finditer(read_regular(file)):
            subset = _SUBSET.search(tag.group())
            found[unescape(subset.group(2).decode("utf-8", "replace")).strip() if subset else ""] = None
    return tuple(name or _DEFAULT for name in found) if any(found) else ()


def _entries(parsed: dict[Path, CvatFile], subset: str | None, options: ReadOptions, report: ReadReport) -> tuple[list[RawEntry], Path]:
    """Return the images of a subset (None: all) in some files, and the folder that they are in."""
    file, contents = next(iter(parsed)), parsed.values()
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
