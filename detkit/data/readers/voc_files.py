"""Locations of the XML files, image lists and images in a Pascal VOC folder."""

from __future__ import annotations

import os
import re
from collections.abc import Container
from pathlib import Path

from detkit.data.media.files import visible
from detkit.data.media.images import IMAGE_EXTENSIONS
from detkit.data.readers.protocol import is_split_name
from detkit.data.readers.text import read_lines

_CLASS_LIST_SUFFIXES = ("_train", "_val", "_trainval", "_test")
"""Endings of the names of VOC's lists for single classes, which are not splits."""

_CLASS_FLAG = re.compile(r"\s+(-1|0|1)$")
"""Flag after each image name in those lists: the class is absent (-1), only present as difficult (0), or present (1)."""


def annotation_folder(path: Path) -> Path | None:
    """Return the folder of XML files: ``Annotations`` in ``path``, or ``path`` itself; None if neither has any."""
    for folder in (path / "Annotations", path / "annotations", path):
        if folder.is_dir() and any(not file.name.startswith(".") for file in folder.glob("*.xml")):
            return folder
    return None


def voc_folders(path: Path) -> list[Path]:
    """Return the VOC folders in ``path``: itself, its years (``VOC2007`` in ``VOCdevkit``) or its splits; empty if there are none."""
    if annotation_folder(path) is not None:
        return [path]
    return _years(path) or list(split_folders(path).values())


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
    """Return the distinct image names in a list, without extension.

    A class flag after a name is removed, unless the name including the flag is ``known``.

    Raises:
        ValueError: If the list is empty, or if a name points outside the folder.
    """
    lines = read_lines(file)
    if not lines:
        raise ValueError(f"{file}: the list is empty; expected one image name per line")
    whole_lines = [_without_extension(line) for line in lines]
    stems = [
        stem if stem in known else _without_extension(_CLASS_FLAG.sub("", line)) for stem, line in zip(whole_lines, lines, strict=True)
    ]
    for stem in stems:
        if "/" in stem or "\\" in stem:
            raise ValueError(f"{file}: the name {stem!r} is outside the image folder; expected a plain name, such as 2007_000027")
    return list(dict.fromkeys(stems))


def _without_extension(name: str) -> str:
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in (*IMAGE_EXTENSIONS, ".xml") else name


def image_index(path: Path, images: Path | None) -> dict[str, str]:
    """Return the image files by name without extension; the key ``""`` is the folder that was searched."""
    annotations = annotation_folder(path) or path
    usual = [base / name for base in (path, annotations.parent) for name in ("JPEGImages", "images", "Images")]
    folder = images or next((folder for folder in usual if folder.is_dir()), annotations)
    files = {"": str(folder)}
    for name in sorted(os.listdir(folder)):
        stem, extension = os.path.splitext(name)
        if extension.lower() in IMAGE_EXTENSIONS and not name.startswith("."):
            files.setdefault(stem, os.path.join(folder, name))
    return files
