"""Usual locations of files that label a whole data set or a split of it, and of their images."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from detkit.data.readers.locations import ImageFinder
from detkit.data.readers.protocol import is_split_name
from detkit.data.storage.addresses import is_address, shown

_GENERIC = ("", "default", "annotations", "coco", "labels", "all")
"""Names of label files that say nothing about a split."""

_LABEL_FOLDERS = ("annotations", "labels", "Annotations")
_SAMPLE = 64
"""Number of file names that are looked up in a folder to decide whether it contains the images."""


def label_files(path: Path, suffixes: Sequence[str], accepts: Callable[[Path], bool], *, marker: str = "", alone: bool = False) -> Files:
    """Return the label files of a format in a data folder, by the names of their splits; empty if there are none.

    They are in a folder called annotations or labels, else in the folder itself, else in folders that are named like splits, or in which
    there is a file called ``marker``. Files that are not named like splits belong together, under the name "".

    Args:
        path: The folder, or a label file.
        suffixes: Endings of their names, in lower case.
        accepts: Returns whether a file has the format.
        marker: Name of the label file in a folder of any name.
        alone: Whether a folder in which another file has one of the endings is not of this format.
    """
    if path.is_file():
        return {"": [path]} if accepts(path) else {}
    if not path.is_dir():
        return {}
    folders = sorted(Path(entry) for entry in os.scandir(path) if not entry.name.startswith(".") and os.path.isdir(entry))
    labels = [folder for folder in folders if folder.name.lower() in ("annotations", "labels")]
    for group in (labels, [path]):
        files = _accepted([file for folder in group for file in _with_suffix(folder, suffixes)], accepts, alone)
        if files is not None:
            return _grouped(files)
    splits = [folder for folder in folders if is_split_name(folder.name) or (marker and (folder / marker).is_file())]
    found = {folder.name: _accepted(_with_suffix(folder, suffixes), accepts, alone) for folder in splits}
    return {name: files for name, files in found.items() if files}


Files = dict[str, list[Path]]
"""Label files by the name of their split, which is "" if they are not divided."""


def _accepted(files: list[Path], accepts: Callable[[Path], bool], alone: bool) -> list[Path] | None:
    """Return the accepted files; empty if there are others and there must not be, None if there are none."""
    if alone and files:
        return files if all(map(accepts, files)) else []
    return [file for file in files if accepts(file)] or None


def _with_suffix(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    names = (entry.name for entry in os.scandir(folder))
    return [folder / name for name in sorted(names) if name.lower().endswith(tuple(suffixes)) and not name.startswith(".")]


def _grouped(files: list[Path]) -> Files:
    if not files:
        return {}
    named = by_split(files)
    return {name: [file] for name, file in named.items()} if any(map(is_split_name, named)) else {"": files}


def split_names(files: Collection[str]) -> tuple[str, ...]:
    """Return the names of the splits; empty for a single file without a meaningful name."""
    return () if set(files) <= {""} else tuple(files)


def by_split(files: list[Path]) -> dict[str, Path]:
    """Return files by the names of their splits, which are parts of their names; every file keeps a name of its own."""
    if len(files) == 1:
        return {_split_name(files[0]): files[0]}
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(_split_name(path), []).append(path)
    named = {}
    for name, group in groups.items():
        main = _main_file(group) if name else None
        for path in group:
            named[path] = name if path == main else _stem(path) or path.stem
    counts = Counter(named.values())
    return {name if counts[name] == 1 else f"{path.parent.name}/{path.stem}": path for path, name in named.items()}


def _main_file(group: list[Path]) -> Path | None:
    """Return the one of several files with the same split that the split's name means; None if none stands out."""
    instances = [path for path in group if path.name.startswith("instances")]
    shortest = min(instances or group, key=lambda path: len(path.stem))
    if len(instances) == 1 or all(path.stem.startswith(shortest.stem) for path in instances or group):
        return shortest
    return None


def _split_name(path: Path) -> str:
    if path.name.startswith("_annotations."):  # of Roboflow
        return path.parent.name
    splits = [part for part in re.split(r"[_\-. ]+", path.stem) if is_split_name(part)]
    if len(splits) == 1:
        return splits[0]
    stem = _stem(path)
    if stem.lower() not in _GENERIC:
        return stem
    return path.parent.name if is_split_name(path.parent.name) else ""


def _stem(path: Path) -> str:
    return path.stem.removeprefix("instances").strip("_-.")


def image_folder(annotations: Path, names: Sequence[str], *, outside: bool = False) -> Path:
    """Return the usual folder, relative to the annotation file, that contains most of the images.

    If there is none, it is the data folder, if images below it have the plain names of these.

    Args:
        annotations: The annotation file.
        names: The images that it lists.
        outside: Whether absolute names may lead anywhere.

    Raises:
        ValueError: If none of the images is found.
    """
    if not names:
        return annotations.parent
    step = max(1, len(names) // _SAMPLE)
    sample = names[::step][:_SAMPLE]
    folders = _usual_folders(annotations)
    finders = [ImageFinder(folder, str(annotations)) for folder in folders]
    hits = [sum(finder.has_path(name) for name in sample) for finder in finders]
    best = max(hits, default=0)
    if best:
        return folders[hits.index(best)]
    base = _data_folder(annotations)
    finder = ImageFinder(base, str(annotations))
    addresses = [name for name in sample if is_address(name)]
    if any(finder.has_name(name) for name in sample) or (outside and (addresses or any(map(_is_file, sample)))):
        return base
    if addresses:
        raise ValueError(
            f"{annotations}: its images are addresses, such as {shown(addresses[0])}, and only addresses that you name are opened; "
            "name their beginning as images, such as images=s3://bucket, or allow all addresses of the file with outside=true"
        )
    searched = ", ".join(str(folder) for folder in folders)
    raise ValueError(
        f"{annotations}: its images, such as {names[0]}, were not found; "
        f"searched in {searched}, and by name below {base}; name the folder that contains them as images"
    )


def _is_file(path: str | Path) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # the name is too long, or has a zero byte
        return False


def _data_folder(annotations: Path) -> Path:
    """Return the folder that contains labels and images: that of the file, or the one above a folder of labels or of a split."""
    here = annotations.parent
    return here.parent if here.name in _LABEL_FOLDERS or is_split_name(here.name) else here


def _usual_folders(annotations: Path) -> list[Path]:
    split = _split_name(annotations) or _stem(annotations)  # CVAT keeps the images of instances_default.json in images/default
    bases = list(dict.fromkeys([annotations.parent, _data_folder(annotations)]))
    names = ["images/" + split, split, "images", "", "JPEGImages", "data"] if split else ["images", "", "JPEGImages", "data"]
    folders = [base / name for name in names for base in bases]
    return [folder for index, folder in enumerate(folders) if folder.is_dir() and folder not in folders[:index]]
