"""Label files of YOLO images, and lists of class names in folders without a description."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from detkit.data.media.files import files_below, visible
from detkit.data.media.images import IMAGE_EXTENSIONS
from detkit.data.readers.protocol import is_split_name

CLASS_LISTS = ("classes.txt", "_darknet.labels", "obj.names")
"""Files of class names in folders without a description, as labelImg, Label Studio and Roboflow write them."""


def class_lists(path: Path) -> dict[str, Path]:
    """Return the class lists of a folder without a description: its own under the name "", else those of its splits."""
    own = _class_list(path)
    if own is not None:
        return {"": own}
    folders = [folder for folder in visible(path.iterdir()) if folder.is_dir() and is_split_name(folder.name)] if path.is_dir() else []
    return {folder.name: file for folder in folders if (file := _class_list(folder)) is not None}


def _class_list(folder: Path) -> Path | None:
    """Return the list of class names of a folder whose images have label files; it is in the folder, or with the label files.

    Of a folder of label files without images, it is the list in it.
    """
    places = [folder, *(folder / name for name in ("labels", "Labels"))]
    file = next((place / name for place in places for name in CLASS_LISTS if (place / name).is_file()), None)
    if file is None:
        return None
    images = [path for path, _ in zip(images_below(folder), range(100), strict=False)]
    if not images:
        return file if file.parent == folder and _has_label_file(folder) else None
    candidates = (candidate for path in images for candidate in (*label_file_candidates(path), *_beside(path, file)))
    return file if any(candidate.is_file() for candidate in candidates) else None


def _beside(image: Path, class_list: Path) -> list[Path]:
    """Return where labelImg saves the labels of an image in a folder that a person has chosen: next to the list of classes."""
    label_file = class_list.parent / f"{image.stem}.txt"
    return [label_file] if label_file != class_list else []


def _has_label_file(folder: Path) -> bool:
    """Return whether one of the first text files in a folder begins with a box."""
    files = (Path(entry) for entry in os.scandir(folder) if entry.name.lower().endswith(".txt") and entry.name not in CLASS_LISTS)
    return any(_BOX.match(_head(file)) for file in itertools.islice(files, 10) if file.is_file())


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(200)


_BOX = re.compile(rb"\s*\d+(\s+[-+.\de]+){4,}\s*(\n|$)")


def images_below(folder: Path) -> Iterator[Path]:
    """Yield the images in and below a folder."""
    return (path for path in files_below(folder) if path.name.lower().endswith(IMAGE_EXTENSIONS))


def label_file_candidates(image: Path) -> list[Path]:
    """Return the possible label files of an image: with the last ``images`` in its path replaced by ``labels``, or next to it."""
    adjacent = image.with_suffix(".txt")
    parts = list(adjacent.parts)
    folders = [index for index, part in enumerate(parts[:-1]) if part.lower() == "images"]
    if not folders:
        return [adjacent]
    name = parts[folders[-1]]
    same_case = "LABELS" if name.isupper() else "Labels" if name[0].isupper() else "labels"
    candidates = [Path(*parts[: folders[-1]], labels, *parts[folders[-1] + 1 :]) for labels in dict.fromkeys((same_case, "labels"))]
    return [*candidates, adjacent]


def find_label_file(image: Path, fallback: Path) -> Path | None:
    """Return the image's label file, or None if it has none, which means that it has no objects."""
    return next((path for path in (*label_file_candidates(image), fallback) if path.is_file()), None)
