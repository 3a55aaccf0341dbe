"""The description file of a YOLO data set, and the locations of its images and labels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from detkit.data.media.files import read_regular, visible
from detkit.data.readers.locations import ImageFinder, is_below, is_disk_root, plain_path
from detkit.data.readers.protocol import ReadOptions
from detkit.data.readers.text import read_lines, read_yaml, written_texts
from detkit.data.readers.yolo.labels import CLASS_LISTS, class_lists, images_below
from detkit.data.report import ReadIssue, ReadReport
from detkit.registry import did_you_mean

DESCRIPTION_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
"""Usual names of the file that describes a data set."""

_SPLIT_KEYS = {"train": "train", "val": "val", "valid": "valid", "validation": "val", "dev": "val", "test": "test"}
"""Keys of splits, and the names of the splits."""

_OTHER_KEYS = ("path", "names", "nc", "classes", "kpt_shape")
_WITHOUT_MEANING = ("download", "flip_idx", "roboflow", "kpt_names", "author", "description", "date", "version", "license", "links")


@dataclass(frozen=True)
class YoloDescription:
    """The content of a ``data.yaml`` or of Darknet's ``obj.data``, or a folder with a list of classes.

    Attributes:
        file: The file itself.
        root: The folder that its paths are relative to.
        names: The class names, indexed by the class numbers of label files.
        splits: For each split, its folders and lists of images.
        has_keypoints: Whether keypoints follow the box in each line (``kpt_shape``); they are ignored.
        unread: Keys and folders that look as if they should be read, by the kind of problem.
    """

    file: Path
    root: Path
    names: tuple[str, ...]
    splits: dict[str, tuple[str, ...]]
    has_keypoints: bool = False
    unread: Mapping[ReadIssue, tuple[str, ...]] = field(default_factory=dict)

    def images(self, split: str, options: ReadOptions, report: ReadReport) -> list[Path]:
        """Return the image files of a split, sorted within a folder; those of a list are searched in ``options.images`` if it is given.

        Raises:
            ValueError: If a folder or list does not exist, contains no images, or is outside of the data folder.
        """
        files: list[Path] = []
        for entry in self.splits[split]:
            path = self._resolve(entry)
            if path is not None:
                self._check_inside(path, split, entry, options)
            if path is not None and path.is_file():
                files += self._from_list(path, options, report)
                continue
            folder = options.images or path
            if folder is None:
                raise ValueError(f"{self.file}: {split}: {entry}: no such folder or list; searched in {self.root}; correct path or {split}")
            files += _from_folder(folder)
        if not files:
            entries = ", ".join(self.splits[split])
            raise ValueError(f"{self.file}: {split}: no images in {entries}; expected files that end in .jpg, .png or the like")
        return files

    def image_root(self, split: str) -> Path | None:
        """Return the folder that contains all images of a split; None for a list of images, or for several folders."""
        folders = [path for entry in self.splits[split] if (path := self._resolve(entry)) is not None and path.is_dir()]
        return folders[0] if len(folders) == len(self.splits[split]) == 1 else None

    def other_label_file(self, image: Path) -> Path:
        """Return the label file of an image in a folder of its own: that of labelImg's list of classes, or Darknet's (as from CVAT)."""
        if self.file.name in CLASS_LISTS:
            return self.file.parent / f"{image.stem}.txt"
        return self.root / "obj_train_data" / f"{image.stem}.txt"

    def _resolve(self, entry: str) -> Path | None:
        """Return the entry's path below the root; Roboflow's ``../train/images`` means ``train/images``, Darknet's ``data/`` the root."""
        slashes = entry.replace("\\", "/")
        for name in (entry, slashes, slashes.removeprefix("../"), slashes.removeprefix("data/")):
            if _exists(self.root / name):
                return self.root / name
        return None

    def _check_inside(self, path: Path, split: str, entry: str, options: ReadOptions) -> None:
        """Check that a folder or list is in the data folder, or in the folder above the description, as are those of COCO labels."""
        above = self.file.absolute().parent.parent
        folders = [self.root.absolute(), *([] if is_disk_root(above) else [above])]
        absolute = os.path.abspath(path)
        if is_disk_root(path) or not (options.outside or any(is_below(folder, absolute) for folder in folders)):
            raise ValueError(
                f"{self.file}: {split}: {entry} is outside the data folder {self.root}; expected a path inside it; "
                "correct the file, or allow such paths with outside=true"
            )

    def _from_list(self, file: Path, options: ReadOptions, report: ReadReport) -> list[Path]:
        """Return the images in a text file, one per line, relative to the file's folder or to the root."""
        names = read_lines(file)
        if options.images is not None:
            return [options.images / plain_path(name).rpartition("/")[2] for name in names]
        names = [name if _exists(file.parent / name) else name.replace("\\", "/").removeprefix("data/") for name in names]
        below_list = any(_exists(file.parent / plain_path(name)) for name in names[:50])
        finder = ImageFinder(file.parent if below_list else self.root, str(file), outside=options.outside)
        return [Path(path) for path in finder.find(names, report)]


def description_file(path: Path) -> Path | None:
    """Return the file that describes a YOLO data set: ``path`` itself, or the one in a folder; None if there is none."""
    if path.is_file():
        return path if path.suffix.lower() in (".yaml", ".yml", ".data") or path.name in CLASS_LISTS else None
    for pattern in (*DESCRIPTION_NAMES, "*.yaml", "*.yml", "*.data"):
        for file in visible(path.glob(pattern)):
            # UTF-16 has zero bytes; such a file is accepted here and gets its error message when it is read.
            if file.is_file() and (file.suffix == ".data" or b"names" in read_regular(file).replace(b"\0", b"")):
                return file
    lists = class_lists(path)
    return next(iter(lists.values()), None)


def read_description(path: Path) -> YoloDescription:
    """Read the description of a data set at :func:`description_file`: a ``data.yaml``, an ``obj.data``, or a list of classes.

    Raises:
        ValueError: If it is not a mapping, or if its names or paths are missing or invalid.
    """
    file = description_file(path)
    if file is None:
        raise ValueError(f"{path}: expected a data.yaml, an obj.data, or a classes.txt beside labeled images; got none")
    if file.name in CLASS_LISTS:
        return _fromclass_lists(path if path.is_dir() else path.parent, file)
    content, names = _read_darknet(file) if file.suffix.lower() == ".data" else _read_yaml(file)
    count = content.get("nc", content.get("classes"))
    if isinstance(count, int) and count != len(names):
        raise ValueError(f"{file}: nc is {count} but names has {len(names)} classes; correct one of them")
    root, splits = _root(content, file), _splits(content, file)
    return YoloDescription(file, root, names, splits, "kpt_shape" in content, _unread(content, root, splits))


def _fromclass_lists(folder: Path, file: Path) -> YoloDescription:
    lists = class_lists(folder) or {"": file}
    names = tuple(read_lines(file))
    if not names:
        raise ValueError(f"{file}: the list of class names is empty; expected one name per line")
    for other in lists.values():
        if tuple(read_lines(other)) != names:
            raise ValueError(f"{other}: its class names differ from those of {file}; expected the same in all splits, in the same order")
    beside_labels = file.parent in (folder, *(folder / split for split in lists))
    root, images = (beside_labels and _image_folder(folder)) or (folder, Path())
    return YoloDescription(file, root, names, {split: ((images / split).as_posix(),) for split in lists})


def _image_folder(folder: Path) -> tuple[Path, Path] | None:
    """Return where the images of a folder such as ``labels/train`` are: the data folder, and ``images/train`` below it, if it exists."""
    at = max((index for index, part in enumerate(folder.parts) if part.lower() == "labels"), default=None)
    if at is None:
        return None
    root, images = Path(*folder.parts[:at]), Path("images", *folder.parts[at + 1 :])
    return (root, images) if (root / images).is_dir() else None


def _splits(content: dict[str, Any], file: Path) -> dict[str, tuple[str, ...]]:
    splits: dict[str, tuple[str, ...]] = {}
    for key, split in _SPLIT_KEYS.items():
        value = content.get(key)
        if value:
            entries = value if isinstance(value, list) else [value]
            if not all(isinstance(entry, str) for entry in entries):
                raise ValueError(f"{file}: {key}: expected a path or a list of paths, got {str(value)[:200]}")
            if split in splits:
                raise ValueError(f"{file}: {key}: the split {split} is given twice; remove one of the keys")
            splits[split] = tuple(entries)
    return splits


def _unread(content: dict[str, Any], root: Path, splits: dict[str, tuple[str, ...]]) -> dict[ReadIssue, tuple[str, ...]]:
    """Return what a person may believe to be read: keys that resemble known ones or name a path, and folders of splits without a key."""
    known = (*_SPLIT_KEYS, *_OTHER_KEYS)
    others = [str(key) for key in content if key not in known and key not in _WITHOUT_MEANING]
    keys = [key for key in others if "did you mean" in did_you_mean(key, known) or _names_a_path(content.get(key), root)]
    named = {alias for alias, split in _SPLIT_KEYS.items() if split in splits or (split == "valid" and "val" in splits)}
    named |= {"val", "valid", "validation", "dev"} if {"val", "valid"} & splits.keys() else set()
    entries = {plain_path(entry).strip("./") for values in splits.values() for entry in values}
    folders = [
        f"{place}{alias}"
        for alias in _SPLIT_KEYS
        for place in ("", "images/")
        if alias not in named and f"{place}{alias}" not in entries and _has_images(root / place / alias)
    ]
    found = {ReadIssue.UNREAD_KEY: tuple(keys), ReadIssue.UNNAMED_SPLIT: tuple(folders)}
    return {issue: names for issue, names in found.items() if names}


def _names_a_path(value: Any, root: Path) -> bool:
    return isinstance(value, str) and bool(value) and _exists(root / value.replace("\\", "/"))


def _has_images(folder: Path) -> bool:
    return folder.is_dir() and next(images_below(folder), None) is not None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # the name is too long, or has a zero byte
        return False


def _read_yaml(file: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    content, node = read_yaml(file)
    names = next((value for key, value in node.value if key.value == "names"), None)
    if not isinstance(names, (yaml.MappingNode, yaml.SequenceNode)) or not names.value:
        got = repr(content.get("names"))[:200]
        raise ValueError(f"{file}: expected names, a list of class names or a mapping from numbers to names, got {got}")
    return content, _names(list(written_texts(names)), file)


def _names(pairs: list[tuple[str, str | None]], file: Path) -> tuple[str, ...]:
    """Return the class names in the order of their numbers, as they are written: YAML would read ``no`` as False and ``010`` as 8."""
    numbers = {str(number) for number in range(len(pairs))}
    if {key for key, _ in pairs} != numbers:
        keys = ", ".join(key for key, _ in pairs[:20])
        raise ValueError(f"{file}: names: expected the numbers 0 to {len(pairs) - 1}, each once, got {keys}")
    names = []
    for key, name in sorted(pairs, key=lambda pair: int(pair[0])):
        if name is None or not name.strip():
            raise ValueError(
                f"{file}: names: {key}: expected the name of a class, got {'a list or mapping' if name is None else repr(name)}"
            )
        names.append(name)
    return tuple(names)


def _read_darknet(file: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Read ``key = value`` lines; the class names are in a separate file in the same folder, one per line."""
    pairs = (line.partition("=") for line in read_lines(file) if "=" in line)
    content: dict[str, Any] = {key.strip(): value.strip() for key, _, value in pairs}
    content = {("val" if key == "valid" else key): value for key, value in content.items()}
    names = str(content.get("names", "")).replace("\\", "/")
    candidates = [file.parent / names, file.parent / Path(names).name]
    inside = [path for path in candidates if is_below(file.absolute().parent, os.path.abspath(path))]
    names_file = next((path for path in inside if names and path.is_file()), None)
    if names_file is None:
        raise ValueError(f"{file}: the file of class names {names!r} is not in its folder; expected {candidates[-1]}")
    content.pop("classes", None)
    class_names = tuple(read_lines(names_file))
    if not class_names:
        raise ValueError(f"{names_file}: the list of class names is empty; expected one name per line")
    return content, class_names


def _root(content: dict[str, Any], file: Path) -> Path:
    """Return the folder ``path``, relative to the file's folder or to the working folder; else the file's folder.

    Raises:
        ValueError: If it is the root of a disk.
    """
    value = content.get("path")
    if isinstance(value, str) and value:
        for folder in (file.parent / value, file.parent / value.replace("\\", "/"), Path(value).expanduser()):
            if folder.is_dir():
                if is_disk_root(folder):
                    raise ValueError(f"{file}: path: {value} is the root of the disk; expected the folder of the data")
                return folder
    return file.parent


def _from_folder(folder: Path) -> list[Path]:
    return sorted(images_below(folder), key=lambda path: (str(path.parent), path.name))
