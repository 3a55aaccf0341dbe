"""Where people keep COCO's annotation files and the images that belong to them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from detkit.data.readers.assemble import lies_below

_NOT_BOXES = ("captions", "person_keypoints", "panoptic", "stuff", "image_info")
"""Beginnings of the names of COCO's other annotation files."""

_SAMPLE = 64
"""So many file names are looked up in a folder to tell whether it is the right one."""


def annotation_files(folder: Path) -> dict[str, Path]:
    """The annotation files of a data folder by the name of their part; empty if there are none.

    Looked for: ``annotations/*.json``, ``*/_annotations.coco.json`` (Roboflow), ``*.json``; the first that has any.
    """
    for pattern in ("annotations/*.json", "*/_annotations.coco.json", "*.json"):
        found = [path for path in sorted(folder.glob(pattern)) if not path.name.startswith((*_NOT_BOXES, "."))]
        if found:
            return {_part(path): path for path in found}
    return {}


def split_names(files: dict[str, Path]) -> tuple[str, ...]:
    """The parts that can be named; a single file with no telling name is one whole."""
    return () if set(files) <= {""} else tuple(files)


def _part(path: Path) -> str:
    if path.name == "_annotations.coco.json":
        return path.parent.name
    stem = _stem(path)
    return "" if stem in ("default", "annotations", "coco", "labels", "all") else stem


def _stem(path: Path) -> str:
    return path.stem.removeprefix("instances").strip("_-.")


def image_folder(annotations: Path, names: Sequence[str]) -> Path:
    """The folder in which most of the images lie, of those where people keep them, seen from their annotation file.

    Raises:
        ValueError: none of the usual folders has any of them.
    """
    step = max(1, len(names) // _SAMPLE)
    sample = [name.replace("\\", "/") for name in names[::step][:_SAMPLE]]
    folders = _usual_folders(annotations)
    hits = [sum(_holds(folder, name) for name in sample) for folder in folders]
    if not names:
        return annotations.parent
    if not hits or max(hits) == 0:
        looked = ", ".join(str(folder) for folder in folders)
        raise ValueError(
            f"{annotations}: its images, such as {names[0]}, were not found; looked in {looked}; name the folder that holds them as images"
        )
    return folders[hits.index(max(hits))]


def _holds(folder: Path, name: str) -> bool:
    """Whether the file is there; an absolute one is there seen from any folder, so it has to be below this one."""
    return (folder / name).is_file() and (not os.path.isabs(name) or lies_below(folder, name))


def _usual_folders(annotations: Path) -> list[Path]:
    part = _part(annotations) or _stem(annotations)  # CVAT keeps the images of instances_default.json in images/default
    here, above = annotations.parent, annotations.parent.parent
    bases = [here, above] if here.name in ("annotations", "labels", "Annotations") else [here]
    wanted = ["images/" + part, part, "images", "", "JPEGImages", "data"] if part else ["images", "", "JPEGImages", "data"]
    folders = [base / name for name in wanted for base in bases]
    return [folder for place, folder in enumerate(folders) if folder.is_dir() and folder not in folders[:place]]
