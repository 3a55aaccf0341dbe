"""Where a Pascal VOC folder keeps its XML files, its lists and its images."""

from __future__ import annotations

import os
import re
from collections.abc import Container
from pathlib import Path

from detkit.data.files import visible
from detkit.data.images import IMAGE_ENDINGS
from detkit.data.readers.protocol import is_part
from detkit.data.readers.text import lines_of

_MAIN_LISTS_ONLY = ("_train", "_val", "_trainval", "_test")
"""Ends of the names of VOC's lists about one class, which are no parts of the data."""

_CLASS_FLAG = re.compile(r"\s+(-1|0|1)$")
"""What those lists say of each image: it does not show the class, shows it only difficult, or shows it."""


def annotation_folder(path: Path) -> Path | None:
    """The folder of XML files: ``Annotations`` in ``path``, or ``path`` itself; None if neither has any."""
    for folder in (path / "Annotations", path / "annotations", path):
        if folder.is_dir() and any(not file.name.startswith(".") for file in folder.glob("*.xml")):
            return folder
    return None


def voc_folders(path: Path) -> list[Path]:
    """The folders that ``path`` is or holds: of years, as ``VOCdevkit`` holds ``VOC2007``, or else of parts; empty if there are none."""
    if annotation_folder(path) is not None:
        return [path]
    return _years(path) or list(part_folders(path).values())


def part_folders(path: Path) -> dict[str, Path]:
    """The folders that are parts as a whole, by name, as Roboflow exports: ``train``, ``valid`` and ``test``, each with its XML files."""
    if annotation_folder(path) is not None or _years(path):
        return {}
    inside = visible(path.iterdir()) if path.is_dir() else []
    return {folder.name: folder for folder in inside if is_part(folder.name) and annotation_folder(folder) is not None}


def _years(path: Path) -> list[Path]:
    return [folder for folder in sorted(path.glob("VOC[0-9]*")) if folder.is_dir() and annotation_folder(folder) is not None]


def split_files(path: Path) -> dict[str, Path]:
    """The lists in ``ImageSets/Main`` by name, without those about one class."""
    files = visible((path / "ImageSets" / "Main").glob("*.txt"))
    return {file.stem: file for file in files if not file.stem.endswith(_MAIN_LISTS_ONLY)}


def listed_stems(file: Path, known: Container[str]) -> list[str]:
    """The image names in a list, without ending, each once; a name that is not ``known`` loses the flag of a class after it.

    Raises:
        ValueError: the list is empty, or a name climbs out of the folder.
    """
    lines = lines_of(file)
    if not lines:
        raise ValueError(f"{file}: the list is empty; expected one image name a line")
    whole = [_without_ending(line) for line in lines]
    stems = [stem if stem in known else _without_ending(_CLASS_FLAG.sub("", line)) for stem, line in zip(whole, lines, strict=True)]
    for stem in stems:
        if "/" in stem or "\\" in stem:
            raise ValueError(f"{file}: the name {stem!r} leaves the image folder; expected a plain name, such as 2007_000027")
    return list(dict.fromkeys(stems))


def _without_ending(name: str) -> str:
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in (*IMAGE_ENDINGS, ".xml") else name


def image_index(path: Path, images: Path | None) -> dict[str, str]:
    """The images by name without ending; the folder they were looked for in stands under the empty name."""
    annotations = annotation_folder(path) or path
    usual = [base / name for base in (path, annotations.parent) for name in ("JPEGImages", "images", "Images")]
    folder = images or next((folder for folder in usual if folder.is_dir()), annotations)
    found = {"": str(folder)}
    for name in sorted(os.listdir(folder)):
        stem, ending = os.path.splitext(name)
        if ending.lower() in IMAGE_ENDINGS and not name.startswith("."):
            found.setdefault(stem, os.path.join(folder, name))
    return found
