"""Class folders: folders of images whose names are the classes, for classifiers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from detkit.data.media.files import files_below
from detkit.data.media.images import IMAGE_EXTENSIONS, image_size
from detkit.data.readers.protocol import ReadOptions, is_split_name, resolve_split
from detkit.data.record_image import whole_image_targets
from detkit.data.records import DetectionData, ImageRecord
from detkit.data.report import ReadIssue, ReadReport

_NO_CLASSES = {"images", "labels", "annotations", "jpegimages", "imagesets"}
"""Names of folders of detection data whose labels are missing or misplaced."""


class FolderReader:
    """One folder per class with images in it or below it, optionally inside folders called train, val and test."""

    name = "class folders"
    kind = "folders"
    expects = "a folder for each class with images in it, for a classifier"

    def recognizes(self, path: Path) -> bool:
        """Return whether there are folders with images, not all named like splits: that would be data whose labels are missing."""
        if not path.is_dir():
            return False
        roots = (_folders(root) for root in self._roots(path))
        return any(_has_image(folder) for folders in roots if not all(is_split_name(entry.name) for entry in folders) for folder in folders)

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the names of the folders that are splits; see :class:`Reader`."""
        return tuple(entry.name for entry in _folders(path) if _has_classes(entry))

    def read(self, path: Path, options: ReadOptions) -> DetectionData:
        """Read one split; see :class:`Reader`. Images are inside the class folders, so ``images`` is not accepted.

        Raises:
            ValueError: If a class has no image, or if there is only one class.
        """
        if options.images is not None:
            raise ValueError(f"{path}: class folders contain their own images; remove images={options.images}")
        split = resolve_split(path, options.split, self.splits(path))
        root = path if split is None else path / split
        folders, report = _folders(root), ReadReport(str(root))
        if len(folders) < 2:
            only = f"one: {folders[0].name}" if folders else "none"
            raise ValueError(f"{root}: expected a folder for each of two or more classes, got {only}; add a folder for each class")
        if blank := next((folder for folder in folders if not folder.name.strip()), None):
            raise ValueError(f"{root}: the name of the folder {blank.name!r} is a class without a visible character; rename the folder")
        rows = [row for label, folder in enumerate(folders) for row in _rows(root, folder, label, report)]
        data = DetectionData.of(str(root), [folder.name for folder in folders], rows)
        return replace(data, report=report, is_classification=True)

    def _roots(self, path: Path) -> list[Path]:
        return [path / split for split in self.splits(path)] or [path]


def _rows(root: Path, folder: Path, label: int, report: ReadReport) -> Iterator[ImageRecord]:
    """Yield the images of a class; other files are counted and skipped."""
    count = 0
    for path in sorted(files_below(folder)):
        name = path.relative_to(root).as_posix()
        if path.suffix.lower() not in IMAGE_EXTENSIONS:
            report.add(ReadIssue.NOT_AN_IMAGE, name)
            continue
        try:
            size = image_size(path)
        except ValueError as error:
            report.add(ReadIssue.UNREADABLE_IMAGE, name, detail=str(error))
            continue
        count += 1
        yield ImageRecord(path, name, size, whole_image_targets(size, torch.tensor([label])))
    if not count:
        raise ValueError(
            f"{folder}: no readable image ({', '.join(IMAGE_EXTENSIONS[:5])} ...) in this class folder; add images, or remove it"
        )


def _folders(path: Path) -> list[Path]:
    """Return the folders that may be classes, sorted by name."""
    entries = sorted(path.iterdir()) if path.is_dir() else []
    return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".") and entry.name.lower() not in _NO_CLASSES]


def _has_classes(folder: Path) -> bool:
    """Return whether a folder is a split: it is named like one and contains folders."""
    return is_split_name(folder.name) and bool(_folders(folder))


def _has_image(folder: Path) -> bool:
    return any(path.suffix.lower() in IMAGE_EXTENSIONS for path in files_below(folder))
