"""Usual locations of COCO annotation files and of their images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from detkit.data.readers.assemble import is_below

_NOT_BOXES = ("captions", "person_keypoints", "panoptic", "stuff", "image_info")
"""Beginnings of the names of COCO's other annotation files."""

_SAMPLE = 64
"""Number of file names that are looked up in a folder to decide whether it contains the images."""


def annotation_files(folder: Path) -> dict[str, Path]:
    """Return the annotation files of a data folder by split name; empty if there are none.

    Patterns, of which the first with any files is used: ``annotations/*.json``, ``*/_annotations.coco.json`` (Roboflow), ``*.json``.
    """
    for pattern in ("annotations/*.json", "*/_annotations.coco.json", "*.json"):
        files = [path for path in sorted(folder.glob(pattern)) if not path.name.startswith((*_NOT_BOXES, "."))]
        if files:
            return {_split_name(path): path for path in files}
    return {}


def split_names(files: dict[str, Path]) -> tuple[str, ...]:
    """Return the names of the splits; empty for a single file without a meaningful name."""
    return () if set(files) <= {""} else tuple(files)


def _split_name(path: Path) -> str:
    if path.name == "_annotations.coco.json":
        return path.parent.name
    stem = _stem(path)
    return "" if stem in ("default", "annotations", "coco", "labels", "all") else stem


def _stem(path: Path) -> str:
    return path.stem.removeprefix("instances").strip("_-.")


def image_folder(annotations: Path, names: Sequence[str]) -> Path:
    """Return the usual folder, relative to the annotation file, that contains most of the images.

    Raises:
        ValueError: If none of the usual folders contains any of them.
    """
    step = max(1, len(names) // _SAMPLE)
    sample = [name.replace("\\", "/") for name in names[::step][:_SAMPLE]]
    folders = _usual_folders(annotations)
    hits = [sum(_contains(folder, name) for name in sample) for folder in folders]
    if not names:
        return annotations.parent
    if not hits or max(hits) == 0:
        searched = ", ".join(str(folder) for folder in folders)
        raise ValueError(
            f"{annotations}: its images, such as {names[0]}, were not found; "
            f"searched in {searched}; name the folder that contains them as images"
        )
    return folders[hits.index(max(hits))]


def _contains(folder: Path, name: str) -> bool:
    """Return whether the file exists in the folder; an absolute name exists for any folder, so it must also be below this one."""
    return (folder / name).is_file() and (not os.path.isabs(name) or is_below(folder, name))


def _usual_folders(annotations: Path) -> list[Path]:
    split = _split_name(annotations) or _stem(annotations)  # CVAT keeps the images of instances_default.json in images/default
    here, above = annotations.parent, annotations.parent.parent
    bases = [here, above] if here.name in ("annotations", "labels", "Annotations") else [here]
    names = ["images/" + split, split, "images", "", "JPEGImages", "data"] if split else ["images", "", "JPEGImages", "data"]
    folders = [base / name for name in names for base in bases]
    return [folder for index, folder in enumerate(folders) if folder.is_dir() and folder not in folders[:index]]
