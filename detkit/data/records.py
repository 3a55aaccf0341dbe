"""Labeled images as read from a data set: one table of all boxes, accessed as one record per image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt
import torch

from detkit.data.report import ReadReport
from detkit.structures import Size, Targets

ImageId = int | str
"""An image's id in its data set: COCO's number, VOC's file stem, YOLO's path in the image folder."""

Window = tuple[int, int, int, int]
"""A part of an image, ``x1 y1 x2 y2`` in whole pixels."""


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One labeled image.

    Attributes:
        path: The image file.
        image_id: Its id in the data set, as published.
        size: ``(height, width)`` in pixels, upright.
        targets: Its objects, in pixels of the upright image.
        window: The part of the file's image that is used as an image of its own; None for all of it.
    """

    path: Path
    image_id: ImageId
    size: Size
    targets: Targets
    window: Window | None = None


@dataclass(frozen=True, eq=False)
class Records(Sequence[ImageRecord]):
    """All images of a data set, stored as a few flat arrays; each record is created on access.

    So millions of boxes take no more memory than their numbers, and are sent to worker processes quickly.

    Attributes:
        paths: ``M`` image files.
        image_ids: ``M`` ids.
        sizes: ``(M, 2)`` int64 ``height width``.
        offsets: ``(M + 1,)`` int64; the rows of image ``i`` are ``offsets[i]:offsets[i + 1]``.
        boxes: ``(N, 4)`` float32 ``x1 y1 x2 y2``.
        labels: ``(N,)`` int64.
        is_crowd: ``(N,)`` bool.
        is_difficult: ``(N,)`` bool.
        areas: ``(N,)`` float32.
        windows: ``(M, 4)`` int64 ``x1 y1 x2 y2``, the part of each file that is the image; None if all images are whole files.
    """

    paths: tuple[str, ...]
    image_ids: tuple[ImageId, ...]
    sizes: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    is_crowd: npt.NDArray[np.bool_]
    is_difficult: npt.NDArray[np.bool_]
    areas: npt.NDArray[np.float32]
    windows: npt.NDArray[np.int64] | None = None

    @classmethod
    def of(cls, records: Iterable[ImageRecord]) -> Records:
        """Build the table from single records."""
        if isinstance(records, Records):
            return records
        rows = tuple(records)
        targets = Targets.cat([row.targets for row in rows])
        lengths = [len(row.targets) for row in rows]
        has_windows = any(row.window for row in rows)
        return cls(
            tuple(str(row.path) for row in rows),
            tuple(row.image_id for row in rows),
            np.array([row.size for row in rows], np.int64).reshape(-1, 2),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            **{name: getattr(targets, name).cpu().numpy() for name in ("boxes", "labels", "is_crowd", "is_difficult", "areas")},
            windows=np.array([row.window or (0, 0, *row.size[::-1]) for row in rows], np.int64) if has_windows else None,
        )

    @classmethod
    def cat(cls, tables: Sequence[Records]) -> Records:
        """Concatenate the images of several tables."""
        columns = ("sizes", "boxes", "labels", "is_crowd", "is_difficult", "areas")
        lengths = np.concatenate([table.lengths for table in tables])
        return cls(
            paths=tuple(path for table in tables for path in table.paths),
            image_ids=tuple(image_id for table in tables for image_id in table.image_ids),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            windows=np.concatenate([table._windows() for table in tables]) if any(t.windows is not None for t in tables) else None,
            **{name: np.concatenate([getattr(table, name) for table in tables]) for name in columns},
        )

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> ImageRecord: ...

    @overload
    def __getitem__(self, index: slice) -> Records: ...

    def __getitem__(self, index: int | slice) -> ImageRecord | Records:
        if isinstance(index, slice):
            return self.take(range(len(self))[index])
        index = range(len(self))[index]
        rows = slice(self.offsets[index], self.offsets[index + 1])
        columns = (self.boxes, self.labels, self.is_crowd, self.is_difficult, self.areas)
        targets = Targets(*(torch.from_numpy(column[rows].copy()) for column in columns))
        height, width = self.sizes[index].tolist()
        window: Window | None = None
        if self.windows is not None:
            left, top, right, bottom = self.windows[index].tolist()
            window = (left, top, right, bottom)
        return ImageRecord(Path(self.paths[index]), self.image_ids[index], (height, width), targets, window)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of objects of each image, shape ``(M,)``."""
        return np.diff(self.offsets)

    @property
    def image_index(self) -> npt.NDArray[np.int64]:
        """Index in ``paths`` of each box's image, shape ``(N,)``."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, images: Iterable[int]) -> Records:
        """Return the records of the images with the given indices, in the given order."""
        selected = np.fromiter(images, np.int64)
        lengths = self.lengths[selected]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[selected] - offsets[:-1], lengths)
        indices = selected.tolist()
        return replace(
            self._rows(rows),
            paths=tuple(self.paths[index] for index in indices),
            image_ids=tuple(self.image_ids[index] for index in indices),
            sizes=self.sizes[selected],
            offsets=offsets,
            windows=None if self.windows is None else self.windows[selected],
        )

    def where(self, keep: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64] | None = None) -> Records:
        """Return all images with only the boxes where ``keep``, ``(N,)`` bool, is set; with new labels ``(N,)`` if given."""
        kept = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
        table = self if labels is None else replace(self, labels=labels)
        return replace(table._rows(np.flatnonzero(keep)), offsets=kept[self.offsets])

    def _windows(self) -> npt.NDArray[np.int64]:
        return np.concatenate([np.zeros_like(self.sizes), self.sizes[:, ::-1]], axis=1) if self.windows is None else self.windows

    def _rows(self, rows: npt.NDArray[np.int64]) -> Records:
        columns = ("boxes", "labels", "is_crowd", "is_difficult", "areas")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})


@dataclass(frozen=True)
class CocoFile:
    """The COCO file that records were read from, for code that needs its numbers as published.

    The records themselves round, clip and skip boxes.

    Attributes:
        path: The JSON file.
        labels: Category id in the file to label in the records; categories that are not used are missing.
    """

    path: str
    labels: Mapping[int, int]

    def relabeled(self, indices: Sequence[int | None]) -> CocoFile:
        """Return the same file with label ``i`` replaced by ``indices[i]``, or removed where that is None."""
        labels = {category: indices[label] for category, label in self.labels.items()}
        return CocoFile(self.path, {category: label for category, label in labels.items() if label is not None})


@dataclass(frozen=True, eq=False)
class DetectionData:
    """A labeled data set.

    Attributes:
        name: Where the data came from, for messages.
        class_names: ``K`` names; label ``i`` is the class ``class_names[i]``.
        category_ids: ``K`` ids of the classes in the data set itself.
        records: Its images.
        report: Labels and images that the reader skipped, changed or noticed.
        coco_file: The COCO file that the records came from; None if they came from something else.
        is_classification: Whether each image has a single label for the whole image; its box is then the image.
    """

    name: str
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    records: Records
    report: ReadReport = field(default_factory=ReadReport)
    coco_file: CocoFile | None = None
    is_classification: bool = False

    @classmethod
    def of(
        cls, name: str, class_names: Sequence[str], records: Iterable[ImageRecord], category_ids: Sequence[int] | None = None
    ) -> DetectionData:
        """Build a data set from single records; category ids count from 1 unless given."""
        ids = tuple(range(1, len(class_names) + 1)) if category_ids is None else tuple(category_ids)
        return cls(name, tuple(class_names), ids, Records.of(records))

    def __post_init__(self) -> None:
        if len(self.class_names) != len(self.category_ids):
            raise ValueError(f"{self.name}: {len(self.class_names)} class names but {len(self.category_ids)} category ids; give one each")
        if len(set(self.class_names)) != len(self.class_names):
            duplicates = sorted({name for name in self.class_names if self.class_names.count(name) > 1})
            raise ValueError(
                f"{self.name}: class names that occur more than once: {', '.join(duplicates)}; expected unique names, so rename them"
            )

    def __len__(self) -> int:
        return len(self.records)

    def take(self, images: Iterable[int], name: str | None = None) -> DetectionData:
        """Return the same data with only the images of the given indices."""
        return replace(self, records=self.records.take(images), name=name or self.name)
