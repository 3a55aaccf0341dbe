"""The description file of a YOLO data set, and the locations of its images and labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from detkit.data.media.files import files_below, visible
from detkit.data.media.images import IMAGE_EXTENSIONS
from detkit.data.readers.text import read_lines, read_text

DESCRIPTION_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
"""Usual names of the file that describes a data set."""

_SPLITS = ("train", "val", "valid", "test")


@dataclass(frozen=True)
class YoloDescription:
    """The content of a ``data.yaml``, or of Darknet's ``obj.data``.

    Attributes:
        file: The file itself.
        root: The folder that its paths are relative to.
        names: The class names, indexed by the class numbers of label files.
        splits: For each split, its folders and lists of images.
        has_keypoints: Whether keypoints follow the box in each line (``kpt_shape``); they are ignored.
    """

    file: Path
    root: Path
    names: tuple[str, ...]
    splits: dict[str, tuple[str, ...]]
    has_keypoints: bool = False

    def images(self, split: str, images: Path | None) -> list[Path]:
        """Return the image files of a split, sorted within a folder; those of a list are searched in ``images`` if it is given.

        Raises:
            ValueError: If a folder or list does not exist, or contains no images.
        """
        files: list[Path] = []
        for entry in self.splits[split]:
            path = self._resolve(entry)
            if path is not None and path.is_file():
                files += _from_list(path, images)
                continue
            folder = images or path
            if folder is None:
                raise ValueError(f"{self.file}: {split}: {entry}: no such folder or list; searched in {self.root}; correct path or {split}")
            files += _from_folder(folder)
        if not files:
            entries = ", ".join(self.splits[split])
            raise ValueError(f"{self.file}: {split}: no images in {entries}; expected files that end in .jpg, .png or the like")
        return files

    def darknet_label_file(self, image: Path) -> Path:
        """Return the label file of an image in a Darknet export (as from CVAT), which keeps labels apart from images."""
        return self.root / "obj_train_data" / f"{image.stem}.txt"

    def _resolve(self, entry: str) -> Path | None:
        """Return the entry's path below the root; Roboflow's ``../train/images`` means ``train/images``, Darknet's ``data/`` the root."""
        for name in (entry, entry.removeprefix("../"), entry.removeprefix("data/")):
            if (self.root / name).exists():
                return self.root / name
        return None


def description_file(path: Path) -> Path | None:
    """Return the file that describes a YOLO data set: ``path`` itself, or the one in a folder; None if there is none."""
    if path.is_file():
        return path if path.suffix.lower() in (".yaml", ".yml", ".data") else None
    for pattern in (*DESCRIPTION_NAMES, "*.yaml", "*.yml", "*.data"):
        for file in visible(path.glob(pattern)):
            # UTF-16 has zero bytes; such a file is accepted here and gets its error message when it is read.
            if file.suffix == ".data" or b"names" in file.read_bytes().replace(b"\0", b""):
                return file
    return None


def read_description(file: Path) -> YoloDescription:
    """Read a ``data.yaml`` or an ``obj.data``.

    Raises:
        ValueError: If it is not a mapping, or if its names or paths are missing or invalid.
    """
    content = _read_darknet(file) if file.suffix.lower() == ".data" else _read_yaml(file)
    names = _names(content, file)
    count = content.get("nc", content.get("classes"))
    if isinstance(count, int) and count != len(names):
        raise ValueError(f"{file}: nc is {count} but names has {len(names)} classes; correct one of them")
    splits = {}
    for key in _SPLITS:
        value = content.get(key)
        if value:
            entries = value if isinstance(value, list) else [value]
            if not all(isinstance(entry, str) for entry in entries):
                raise ValueError(f"{file}: {key}: expected a path or a list of paths, got {value!r}")
            splits[key] = tuple(entries)
    return YoloDescription(file, _root(content, file), names, splits, "kpt_shape" in content)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: not readable YAML ({' '.join(str(error).split())}); correct the file") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected a mapping with names and train, got {type(content).__name__}")
    return content


def _read_darknet(file: Path) -> dict[str, Any]:
    """Read ``key = value`` lines; the class names are in a separate file, one per line."""
    pairs = (line.partition("=") for line in read_lines(file) if "=" in line)
    content: dict[str, Any] = {key.strip(): value.strip() for key, _, value in pairs}
    content = {("val" if key == "valid" else key): value for key, value in content.items()}
    names = str(content.get("names", ""))
    candidates = [file.parent / names, file.parent / Path(names).name]
    names_file = next((path for path in candidates if names and path.is_file()), None)
    if names_file is None:
        raise ValueError(f"{file}: the file of class names {names!r} does not exist; expected {candidates[-1]}")
    content["names"] = read_lines(names_file)
    content.pop("classes", None)
    return content


def _names(content: dict[str, Any], file: Path) -> tuple[str, ...]:
    names = content.get("names")
    if isinstance(names, dict) and names:
        if sorted(map(str, names)) != sorted(map(str, range(len(names)))):
            raise ValueError(f"{file}: names: expected the numbers 0 to {len(names) - 1}, each once, got {', '.join(map(str, names))}")
        names = [names[key] for key in sorted(names, key=int)]
    if not isinstance(names, list) or not names:
        raise ValueError(f"{file}: expected names, a list of class names or a mapping from numbers to names, got {content.get('names')!r}")
    return tuple(str(name) for name in names)


def _root(content: dict[str, Any], file: Path) -> Path:
    """Return the folder ``path``, relative to the file's folder or to the working folder; else the file's folder."""
    value = content.get("path")
    if isinstance(value, str) and value:
        for folder in (file.parent / value, Path(value).expanduser()):
            if folder.is_dir():
                return folder
    return file.parent


def _from_folder(folder: Path) -> list[Path]:
    files = (path for path in files_below(folder) if path.name.lower().endswith(IMAGE_EXTENSIONS))
    return sorted(files, key=lambda path: (str(path.parent), path.name))


def _from_list(file: Path, images: Path | None) -> list[Path]:
    """Return the images in a text file, one per line, relative to the file's folder."""
    lines = read_lines(file)
    if images is not None:
        return [images / Path(line).name for line in lines]
    files = []
    for line in lines:
        candidates = [file.parent / line, file.parent / line.removeprefix("data/")]
        files.append(next((path for path in candidates if path.exists()), candidates[0]))
    return files


def label_file_candidates(image: Path) -> list[Path]:
    """Return the possible label files of an image: with the last ``images`` in its path replaced by ``labels``, or next to it."""
    adjacent = image.with_suffix(".txt")
    parts = list(adjacent.parts)
    folders = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if not folders:
        return [adjacent]
    parts[folders[-1]] = "labels"
    return [Path(*parts), adjacent]


def find_label_file(image: Path, fallback: Path) -> Path | None:
    """Return the image's label file, or None if it has none, which means that it has no objects."""
    return next((path for path in (*label_file_candidates(image), fallback) if path.is_file()), None)
