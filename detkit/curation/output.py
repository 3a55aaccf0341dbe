"""Write a data set into a new folder: labels in a format, images linked or copied; the source stays as it is."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from detkit.curation.parts import LabeledParts, Part
from detkit.data.writers import image_folder, write_labels

Copy = Literal["link", "copy", "none"]
"""``link``: hard links, symbolic links to another disk, copies where neither works; ``copy``: copies; ``none``: labels only."""


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """How a data set is written.

    Attributes:
        kind: Label format, a key of :data:`detkit.data.writers.WRITERS`.
        copy: How images get into the new folder.
        strict: Refuse to write what the format cannot hold instead of reporting it.
        voc_integers: Round the boxes of VOC labels to whole pixels.
        polygons: In formats in which an object is either a box or an outline, write outlines instead of boxes where there are some.
    """

    kind: str = "coco"
    copy: Copy = "link"
    strict: bool = False
    voc_integers: bool = False
    polygons: bool = False


@dataclass(frozen=True)
class Written:
    """A data set that was written.

    Attributes:
        folder: Its folder.
        images: Number of images.
        boxes: Number of boxes.
        lost: Number of values that the format cannot hold, by what they are.
        notes: Lines about anything else that differs from the source, such as renamed images.
    """

    folder: Path
    images: int
    boxes: int
    lost: Mapping[str, int] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()


def write_parts(data: LabeledParts, folder: str | Path, options: OutputOptions) -> Written:
    """Write all parts of a data set into a new or empty folder.

    Raises:
        FileExistsError: If the folder exists and is not empty.
        ValueError: If the format cannot hold the data, with ``strict`` or where there is no way to write it.
        WriteError: If the disk is full, or the folder cannot be written.
    """
    folder = Path(folder)
    check_new(folder)
    for name, part in data:
        root = image_folder(folder, options.kind, name)
        moved = _moved(part, root)
        for source, target in zip(part.data.records.paths, moved.data.records.paths, strict=True):
            _place(Path(source), Path(target), options.copy)
        write_labels(moved.data, folder, options.kind, name)
    return Written(folder, data.image_count, data.box_count)


def check_new(folder: Path) -> None:
    """Check that a folder does not exist, or is empty.

    Raises:
        FileExistsError: If it is not.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder}: it exists and is not empty; nothing is overwritten: give a new folder")


def _moved(part: Part, root: Path) -> Part:
    """Return the part with the paths that its images have in the new folder."""
    paths = tuple(str(root / name) for name in part.names)
    return replace(part, data=replace(part.data, records=replace(part.data.records, paths=paths), coco_file=None))


def _place(source: Path, target: Path, copy: Copy) -> None:
    if copy == "none":
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if copy == "link":
        for link in (os.link, os.symlink):
            try:
                link(source.resolve(), target)
            except OSError:
                continue
            return
    shutil.copy2(source, target)
