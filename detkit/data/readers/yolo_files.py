"""How a YOLO data set says where its images and labels are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from detkit.data.files import files_below, visible
from detkit.data.images import IMAGE_ENDINGS
from detkit.data.readers.text import lines_of, text_of

USUAL_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
"""Of the file that describes a data set."""

_PARTS = ("train", "val", "valid", "test")


@dataclass(frozen=True)
class Listing:
    """A ``data.yaml``, or Darknet's ``obj.data``, read.

    Attributes:
        file: The file itself.
        root: The folder from which its paths count.
        names: The class names; a label file's class number counts in them.
        parts: For each part, the folders and lists of images it names.
        has_keypoints: Whether lines go on with keypoints after the box (``kpt_shape``), which are passed over.
    """

    file: Path
    root: Path
    names: tuple[str, ...]
    parts: dict[str, tuple[str, ...]]
    has_keypoints: bool = False

    def images(self, part: str, images: Path | None) -> list[Path]:
        """The image files of a part, sorted within a folder; a list's are looked for in ``images`` if that is given.

        Raises:
            ValueError: a folder or list is not there, or has no images.
        """
        found: list[Path] = []
        for entry in self.parts[part]:
            place = self._place(entry)
            if place is not None and place.is_file():
                found += _from_list(place, images)
            elif images is not None or place is not None:
                found += _from_folder(images or place)  # type: ignore[arg-type]
            else:
                raise ValueError(f"{self.file}: {part}: {entry}: no such folder or list; looked in {self.root}; correct path or {part}")
        if not found:
            where = ", ".join(self.parts[part])
            raise ValueError(f"{self.file}: {part}: no images in {where}; expected files that end in .jpg, .png or the like")
        return found

    def listed_beside(self, image: Path) -> Path:
        """Where Darknet exports (CVAT's) keep labels apart from images."""
        return self.root / "obj_train_data" / f"{image.stem}.txt"

    def _place(self, entry: str) -> Path | None:
        """The entry below the root; Roboflow's ``../train/images`` means ``train/images``, and Darknet's ``data/`` the folder itself."""
        for name in (entry, entry.removeprefix("../"), entry.removeprefix("data/")):
            if (self.root / name).exists():
                return self.root / name
        return None


def description_file(path: Path) -> Path | None:
    """The file that describes a YOLO data set: ``path`` itself, or the one in a folder; None if there is none."""
    if path.is_file():
        return path if path.suffix.lower() in (".yaml", ".yml", ".data") else None
    for pattern in (*USUAL_NAMES, "*.yaml", "*.yml", "*.data"):
        for file in visible(path.glob(pattern)):
            if file.suffix == ".data" or b"names" in file.read_bytes().replace(b"\0", b""):  # UTF-16 has them: it is told of later
                return file
    return None


def read_description(file: Path) -> Listing:
    """Read a ``data.yaml`` or an ``obj.data``.

    Raises:
        ValueError: it is no mapping, or its names or paths are missing or wrong.
    """
    content = _darknet(file) if file.suffix.lower() == ".data" else _yaml(file)
    names = _names(content, file)
    count = content.get("nc", content.get("classes"))
    if isinstance(count, int) and count != len(names):
        raise ValueError(f"{file}: nc is {count} but names has {len(names)} classes; correct one of them")
    parts = {}
    for key in _PARTS:
        value = content.get(key)
        if value:
            entries = value if isinstance(value, list) else [value]
            if not all(isinstance(entry, str) for entry in entries):
                raise ValueError(f"{file}: {key}: expected a path or a list of paths, got {value!r}")
            parts[key] = tuple(entries)
    return Listing(file, _root(content, file), names, parts, "kpt_shape" in content)


def _yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text_of(file))
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: not readable YAML ({' '.join(str(error).split())}); correct the file") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected a mapping with names and train, got {type(content).__name__}")
    return content


def _darknet(file: Path) -> dict[str, Any]:
    """``key = value`` lines; the names stand in a file of their own, one a line."""
    pairs = (line.partition("=") for line in lines_of(file) if "=" in line)
    content: dict[str, Any] = {key.strip(): value.strip() for key, _, value in pairs}
    content = {("val" if key == "valid" else key): value for key, value in content.items()}
    names = str(content.get("names", ""))
    beside = [file.parent / names, file.parent / Path(names).name]
    found = next((place for place in beside if names and place.is_file()), None)
    if found is None:
        raise ValueError(f"{file}: the file of class names {names!r} is not there; looked for {beside[-1]}")
    content["names"] = lines_of(found)
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
    """``path`` as given, from the file's folder, or from the working folder; else the file's folder."""
    given = content.get("path")
    if isinstance(given, str) and given:
        for place in (file.parent / given, Path(given).expanduser()):
            if place.is_dir():
                return place
    return file.parent


def _from_folder(folder: Path) -> list[Path]:
    found = (path for path in files_below(folder) if path.name.lower().endswith(IMAGE_ENDINGS))
    return sorted(found, key=lambda path: (str(path.parent), path.name))


def _from_list(file: Path, images: Path | None) -> list[Path]:
    """The images that a text file lists, one a line, counted from the file's folder."""
    lines = lines_of(file)
    if images is not None:
        return [images / Path(line).name for line in lines]
    found = []
    for line in lines:
        places = [file.parent / line, file.parent / line.removeprefix("data/")]
        found.append(next((place for place in places if place.exists()), places[0]))
    return found


def label_places(image: Path) -> list[Path]:
    """Where a image's labels may be: ``labels`` in place of the last ``images`` in its path, or beside it."""
    beside = image.with_suffix(".txt")
    parts = list(beside.parts)
    folders = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if not folders:
        return [beside]
    parts[folders[-1]] = "labels"
    return [Path(*parts), beside]


def label_file(image: Path, elsewhere: Path) -> Path | None:
    """The image's label file, or None: it then shows no objects."""
    return next((place for place in (*label_places(image), elsewhere) if place.is_file()), None)
