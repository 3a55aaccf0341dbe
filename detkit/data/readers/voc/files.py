"""Locations of the XML files, image lists and images in a Pascal VOC folder."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from detkit.data.media.files import files_below, visible
from detkit.data.media.images import IMAGE_EXTENSIONS
from detkit.data.readers.protocol import is_split_name
from detkit.data.readers.text import read_text

_LABEL_FOLDERS = ("annotations", "labels")
_IMAGE_FOLDERS = ("jpegimages", "images")
"""Names of folders, whatever their case."""

_CLASS_LIST_SUFFIXES = ("_train", "_val", "_trainval", "_test")
"""Endings of the names of VOC's lists for single classes, which are not splits."""

_CLASS_FLAG = re.compile(r"\s+(-1|0|1)$")
"""Flag after each image name in those lists: the class is absent (-1), only present as difficult (0), or present (1)."""


def annotation_folder(path: Path) -> Path | None:
    """Return the folder of XML files: one called ``Annotations`` in ``path``, or ``path`` itself; None if neither has any."""
    for folder in _folders(path, _LABEL_FOLDERS):
        if next(_xml_files(folder), None) is not None:
            return folder
    return path if path.is_dir() and any(_is_xml(entry.name) for entry in os.scandir(path)) else None


def xml_files(annotations: Path) -> dict[str, Path]:
    """Return all XML files in and below a folder by their path in it, without extension and with slashes."""
    files: dict[str, Path] = {}
    for path in sorted(_xml_files(annotations)):
        stem = path.relative_to(annotations).with_suffix("").as_posix()
        files[stem if stem not in files else f"{stem}{path.suffix}"] = path
    return files


def _xml_files(folder: Path) -> Iterator[Path]:
    return (path for path in files_below(folder) if _is_xml(path.name))


def _is_xml(name: str) -> bool:
    return name.lower().endswith(".xml") and not name.startswith(".")


def _folders(path: Path, names: tuple[str, ...]) -> list[Path]:
    """Return the folders in ``path`` with one of the names, in the order of the names."""
    entries = [entry for entry in visible(path.iterdir()) if entry.name.lower() in names and entry.is_dir()] if path.is_dir() else []
    return sorted(entries, key=lambda entry: names.index(entry.name.lower()))


def voc_folders(path: Path) -> list[Path]:
    """Return the VOC folders in ``path``: itself, its years (``VOC2007`` in ``VOCdevkit``) or its splits; empty if there are none."""
    if annotation_folder(path) is not None:
        return [path]
    return _years(path) or list(split_folders(path).values())


def label_maps(path: Path) -> list[Path]:
    """Return where CVAT's list of classes may be: in the folder, in its years or splits, or with their XML files."""
    folders = [path, *voc_folders(path)]
    folders += [annotations for folder in folders if (annotations := annotation_folder(folder)) is not None]
    return [folder / "labelmap.txt" for folder in folders]


def split_folders(path: Path) -> dict[str, Path]:
    """Return split folders by name, each with its own XML files: ``train``, ``valid`` and ``test``, as Roboflow exports them."""
    if annotation_folder(path) is not None or _years(path):
        return {}
    entries = visible(path.iterdir()) if path.is_dir() else []
    return {folder.name: folder for folder in entries if is_split_name(folder.name) and annotation_folder(folder) is not None}


def _years(path: Path) -> list[Path]:
    return [folder for folder in sorted(path.glob("VOC[0-9]*")) if folder.is_dir() and annotation_folder(folder) is not None]


def split_files(path: Path) -> dict[str, Path]:
    """Return the lists in ``ImageSets/Main`` by name, except those for single classes."""
    files = visible((path / "ImageSets" / "Main").glob("*.txt"))
    return {file.stem: file for file in files if not file.stem.endswith(_CLASS_LIST_SUFFIXES)}


def listed_stems(file: Path, known: Container[str]) -> list[str]:
    """Return the distinct image names in a list, without extension; they may be in subfolders.

    A class flag after a name is removed, unless the name including the flag is ``known``.

    Raises:
        ValueError: If the list is empty, or if a name points outside the folder.
    """
    lines = [line.rstrip("\r") for line in read_text(file).split("\n") if line.strip()]
    if not lines:
        raise ValueError(f"{file}: the list is empty; expected one image name per line")
    stems = [_listed_stem(line, known) for line in lines]
    for stem in stems:
        if os.path.isabs(stem) or ".." in stem.split("/") or stem[1:3] == ":/":
            raise ValueError(f"{file}: the name {stem!r} is outside the image folder; expected a plain name, such as 2007_000027")
    return list(dict.fromkeys(stems))


def _listed_stem(line: str, known: Container[str]) -> str:
    """Return the name that a line means: the line itself if it is known, else what is left without extension, or without class flag."""
    name = line.strip().replace("\\", "/").removeprefix("./")
    for stem in (line, line.strip(), name, _without_extension(name)):
        if stem in known:
            return stem
    return _without_extension(_CLASS_FLAG.sub("", name))


def _without_extension(name: str) -> str:
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in (*IMAGE_EXTENSIONS, ".xml") else name


@dataclass
class ImageIndex:
    """The images of a VOC folder.

    Attributes:
        folder: Where they were searched.
        by_stem: Images by their path in the folder, without extension; several where only the extensions differ.
        by_name: Images by their plain names in lower case, with and without extension.
    """

    folder: Path
    by_stem: dict[str, list[str]] = field(default_factory=dict)
    by_name: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, images: Path | None) -> ImageIndex:
        """List the images of a VOC folder: in ``JPEGImages`` or ``images``, next to the XML files, or in ``images`` if that is given."""
        annotations = annotation_folder(path) or path
        usual = [folder for base in (path, annotations.parent) for folder in _folders(base, _IMAGE_FOLDERS)]
        index = cls(images or next(iter(usual), annotations))
        index._add_all()
        if not index.by_stem and images is None and not usual:
            index.folder = path
            index._add_all()
        return index

    def _add_all(self) -> None:
        files = [path for path in files_below(self.folder) if path.suffix.lower() in IMAGE_EXTENSIONS]
        for path in sorted(files):
            stem = path.relative_to(self.folder).with_suffix("").as_posix()
            self.by_stem.setdefault(stem, []).append(str(path))
            for name in {path.name.lower(), path.stem.lower()}:
                self.by_name.setdefault(name, []).append(str(path))

    def candidates(self, stem: str, file_name: str) -> list[str]:
        """Return the images that an XML file may be about, the right one first; empty if there is none.

        It is the one of the same name in the same folder, and of several that differ in their extensions the one that the XML file
        names. If there is none, it is the only one with the name in the XML file, or with the name of the XML file, in any folder.
        """
        same = self.by_stem.get(stem, [])
        if same:
            return sorted(same, key=lambda path: os.path.basename(path).lower() != file_name.lower())
        for name in (file_name.lower(), os.path.splitext(file_name)[0].lower(), stem.rpartition("/")[2].lower()):
            found = self.by_name.get(name, []) if name else []
            if len(found) == 1:
                return found
        return []
