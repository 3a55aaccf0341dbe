"""Write a data set into a new folder: labels in a format, images linked or copied; the source stays as it is."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from detkit.checkpoint.atomic import explain_write_errors, write_text
from detkit.checkpoint.temporary import temporary_path
from detkit.curation.images import ImagePlacer
from detkit.curation.losses import count_losses
from detkit.curation.naming import MAPPING, Naming, NewPart
from detkit.curation.parts import LabeledParts
from detkit.curation.regions import with_ignored_regions
from detkit.data.writers import writer
from detkit.data.writers.protocol import WriteOptions, Writer

Copy = Literal["link", "copy", "none"]
"""``link``: hard links, symbolic links to another disk, copies where neither works; ``copy``: copies; ``none``: labels only."""

Progress = Callable[[int, int], None]
"""Called with the number of images written so far, and the number of all."""


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """How a data set is written.

    Attributes:
        kind: Label format, a key of :data:`detkit.data.writers.WRITERS`.
        copy: How images get into the new folder. A hard link is a second name of the same file: it takes no space and stays when the
            source is deleted, and a program that changes the image in place changes both. On another disk, where hard links are
            impossible, images are symbolic links, which need the source; where these are not allowed either, they are copies.
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


def write_parts(data: LabeledParts, folder: str | Path, options: OutputOptions, progress: Progress | None = None) -> Written:
    """Write all parts of a data set into a new or empty folder, which has its name only when it is complete.

    Raises:
        FileExistsError: If the folder exists and is not empty.
        ValueError: If the format cannot hold the data, with ``strict`` or where there is no way to write it, or if the folder is in that
            of the source.
        WriteError: If the disk is full, or the folder cannot be written.
    """
    folder = Path(folder)
    check_new(folder)
    check_apart(Path(data.name), folder)
    labels = WriteOptions(polygons=options.polygons, whole_pixels=options.voc_integers)
    target = writer(options.kind, labels)
    naming = Naming.of(with_ignored_regions(data, target.holds), options.kind, target.holds)
    lost = count_losses(data, target.holds, labels, naming.lost_ids)
    if options.strict and lost:
        listed = "; ".join(f"{text}: {count:,}" for text, count in lost.items())
        raise ValueError(f"{options.kind} labels cannot hold everything: {listed}; nothing was written: omit --strict, or write coco")
    with new_folder(folder) as work:
        placer = ImagePlacer(options.copy, data.image_count, progress)
        for new in naming.parts.values():
            _write_part(new, work, target, placer)
        if mapping := naming.mapping():
            write_text(work / MAPPING, mapping)
    return Written(folder, data.image_count, data.box_count, lost, tuple(_notes(data, naming, options)))


def _write_part(new: NewPart, folder: Path, target: Writer, placer: ImagePlacer) -> None:
    root = target.image_folder(folder, new.name)
    paths = tuple(str(root / name) for name in new.names)
    old = new.part.data.records
    placer.place(old, paths)
    records = replace(old, paths=paths, image_ids=new.image_ids)
    root.mkdir(parents=True, exist_ok=True)
    target.write(replace(new.part.data, records=records, coco_file=None), folder, new.name)


def _notes(data: LabeledParts, naming: Naming, options: OutputOptions) -> Iterator[str]:
    yield from naming.notes()
    if any(part.data.is_classification for _, part in data):
        yield "the class of an image is written as a box of the whole image"
    if options.copy == "none":
        yield "images stay where they are; labels in the new folder name them relative to their image folder"


def check_new(folder: Path) -> None:
    """Check that a folder does not exist, or is empty.

    Raises:
        FileExistsError: If it is not.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder}: it exists and is not empty; nothing is overwritten: give a new folder")


def check_apart(source: Path, folder: Path) -> None:
    """Check that a new folder is not in the folder of a data set, which would change it and become a part of it.

    Raises:
        ValueError: If it is.
    """
    if source.is_dir() and folder.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"{folder}: it is in the folder of the source, {source}, which stays as it is; give a folder outside of it")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder next to a new one, which gets its name when the block succeeds and is removed when it fails.

    Raises:
        WriteError: If the disk is full, or the folder cannot be written.
    """
    folder = Path(os.path.abspath(folder)).resolve()
    work = temporary_path(folder)
    made = _missing(folder.parent)
    try:
        with explain_write_errors(folder, work):
            work.mkdir(parents=True)
            yield work
            if folder.is_dir():
                folder.rmdir()
            work.rename(folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        raise


def _missing(folder: Path) -> list[Path]:
    """Return the folders that do not exist, the innermost first: a folder and those above it."""
    return [path for path in (folder, *folder.parents) if not path.exists()]
