"""Folders of images whose names are the classes: labels of images as a whole, for classifiers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from detkit.data.files import files_below
from detkit.data.images import IMAGE_ENDINGS, image_size
from detkit.data.readers.protocol import chosen_split, is_part
from detkit.data.record_image import whole_image
from detkit.data.records import DetectionData, ImageRecord
from detkit.data.report import ReadReport, Remark

_NO_CLASSES = {"images", "labels", "annotations", "jpegimages", "imagesets"}
"""Folders of detection data, whose labels are missing or not where they should be."""


class FolderReader:
    """A folder for each class, with images in it or below it; maybe in folders called train, val and test."""

    name = "folders of images"
    expects = "a folder for each class with images in it, for a classifier"

    def recognizes(self, path: Path) -> bool:
        """Folders with images, unless all of them are called like parts: those are no classes but data whose labels are missing."""
        if not path.is_dir():
            return False
        roots = (_folders(root) for root in self._roots(path))
        return any(_has_image(folder) for folders in roots if not all(is_part(entry.name) for entry in folders) for folder in folders)

    def splits(self, path: Path) -> tuple[str, ...]:
        """See :class:`Reader`."""
        return tuple(entry.name for entry in _folders(path) if _has_classes(entry))

    def read(self, path: Path, images: Path | None, split: str | None, check: int) -> DetectionData:
        """See :class:`Reader`; images lie beside their labels, so ``images`` is not taken.

        Raises:
            ValueError: a class has no image, or there is only one class.
        """
        if images is not None:
            raise ValueError(f"{path}: images in a folder for each class are their own labels; leave images={images} out")
        part = chosen_split(path, split, self.splits(path))
        root = path if part is None else path / part
        folders, report = _folders(root), ReadReport(str(root))
        if len(folders) < 2:
            only = f"one: {folders[0].name}" if folders else "none"
            raise ValueError(f"{root}: expected a folder for each of two or more classes, got {only}; there is nothing to tell apart")
        rows = [row for label, folder in enumerate(folders) for row in _rows(root, folder, label, report)]
        return replace(DetectionData.of(str(root), [folder.name for folder in folders], rows), report=report, whole=True)

    def _roots(self, path: Path) -> list[Path]:
        return [path / part for part in self.splits(path)] or [path]


def _rows(root: Path, folder: Path, label: int, report: ReadReport) -> Iterator[ImageRecord]:
    """The images of a class; files that are none are counted and left out."""
    count = 0
    for path in sorted(files_below(folder)):
        name = path.relative_to(root).as_posix()
        if path.suffix.lower() not in IMAGE_ENDINGS:
            report.add(Remark.NOT_A_IMAGE, name)
            continue
        try:
            size = image_size(path)
        except ValueError as error:
            report.add(Remark.UNREADABLE_IMAGE, name, detail=str(error))
            continue
        count += 1
        yield ImageRecord(path, name, size, whole_image(size, torch.tensor([label])))
    if not count:
        raise ValueError(
            f"{folder}: the folder of a class, and there is no image in it that can be read ({', '.join(IMAGE_ENDINGS[:5])} ...); "
            "fill it, or remove it"
        )


def _folders(path: Path) -> list[Path]:
    """The folders that may be classes, in the order of their names."""
    inside = sorted(path.iterdir()) if path.is_dir() else []
    return [entry for entry in inside if entry.is_dir() and not entry.name.startswith(".") and entry.name.lower() not in _NO_CLASSES]


def _has_classes(folder: Path) -> bool:
    """Whether a folder holds a part of the data: it is called like one and has folders in it."""
    return is_part(folder.name) and bool(_folders(folder))


def _has_image(folder: Path) -> bool:
    return any(path.suffix.lower() in IMAGE_ENDINGS for path in files_below(folder))
