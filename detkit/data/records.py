"""Labeled images as the readers give them: a table of all boxes, seen as one record a image."""

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
"""A image's id in its data set: COCO's number, VOC's file stem, YOLO's path in the image folder."""

Window = tuple[int, int, int, int]
"""A part of a image, ``x1 y1 x2 y2`` in whole pixels."""


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One labeled image.

    Attributes:
        path: The image's file.
        image_id: Its id in the data set, as published.
        size: ``(height, width)`` in pixels, upright.
        targets: Its objects, in the pixels of the upright image.
        window: The part of the file's image that stands for a image of its own; None: all of it.
    """

    path: Path
    image_id: ImageId
    size: Size
    targets: Targets
    window: Window | None = None


@dataclass(frozen=True, eq=False)
class Records(Sequence[ImageRecord]):
    """All images of a data set: a few flat arrays, from which a record is made when it is asked for.

    Millions of boxes so take the room of their numbers, and travel to worker processes at once.

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
        windows: ``(M, 4)`` int64 ``x1 y1 x2 y2`` of the parts of files that are images here; None: all are whole.
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
        """The table of records made one by one."""
        if isinstance(records, Records):
            return records
        rows = tuple(records)
        targets = Targets.cat([row.targets for row in rows])
        lengths = [len(row.targets) for row in rows]
        parts = any(row.window for row in rows)
        return cls(
            tuple(str(row.path) for row in rows),
            tuple(row.image_id for row in rows),
            np.array([row.size for row in rows], np.int64).reshape(-1, 2),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            **{name: getattr(targets, name).cpu().numpy() for name in ("boxes", "labels", "is_crowd", "is_difficult", "areas")},
            windows=np.array([row.window or (0, 0, *row.size[::-1]) for row in rows], np.int64) if parts else None,
        )

    @classmethod
    def joined(cls, tables: Sequence[Records]) -> Records:
        """The images of several tables, one table after another."""
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
        """``(M,)`` how many objects each image has."""
        return np.diff(self.offsets)

    @property
    def image_index(self) -> npt.NDArray[np.int64]:
        """``(N,)`` the place, in ``paths``, of the image that each box lies on."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, images: Iterable[int]) -> Records:
        """The records of some images, by place, in the order given."""
        chosen = np.fromiter(images, np.int64)
        lengths = self.lengths[chosen]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], lengths)
        places = chosen.tolist()
        return replace(
            self._rows(rows),
            paths=tuple(self.paths[place] for place in places),
            image_ids=tuple(self.image_ids[place] for place in places),
            sizes=self.sizes[chosen],
            offsets=offsets,
            windows=None if self.windows is None else self.windows[chosen],
        )

    def where(self, keep: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64] | None = None) -> Records:
        """All images, with only the boxes that ``keep`` (``(N,)`` bool) marks; with other labels (``(N,)``) if given."""
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
    """The COCO file that records were read from, for whoever needs its numbers as published: records round, cut and leave out.

    Attributes:
        path: The JSON file.
        labels: Category id in the file to label in the records; categories that were left out are missing.
    """

    path: str
    labels: Mapping[int, int]

    def relabeled(self, places: Sequence[int | None]) -> CocoFile:
        """The same file after label ``i`` became ``places[i]``, or was left out where that is None."""
        labels = {category: places[label] for category, label in self.labels.items()}
        return CocoFile(self.path, {category: label for category, label in labels.items() if label is not None})


@dataclass(frozen=True, eq=False)
class DetectionData:
    """A labeled data set, read.

    Attributes:
        name: Where it came from, for messages.
        class_names: ``K`` names; label ``i`` is the class ``class_names[i]``.
        category_ids: ``K`` ids by which the data set itself calls its classes.
        records: Its images.
        report: What the reader left out, changed or noticed.
        coco_file: The COCO file that the records came from; None if they came from something else.
        whole: Whether labels are of images as a whole: each has one, whose box is the image.
    """

    name: str
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    records: Records
    report: ReadReport = field(default_factory=ReadReport)
    coco_file: CocoFile | None = None
    whole: bool = False

    @classmethod
    def of(
        cls, name: str, class_names: Sequence[str], records: Iterable[ImageRecord], category_ids: Sequence[int] | None = None
    ) -> DetectionData:
        """A data set from records made by hand; category ids count from 1 unless given."""
        ids = tuple(range(1, len(class_names) + 1)) if category_ids is None else tuple(category_ids)
        return cls(name, tuple(class_names), ids, Records.of(records))

    def __post_init__(self) -> None:
        if len(self.class_names) != len(self.category_ids):
            raise ValueError(f"{self.name}: {len(self.class_names)} class names but {len(self.category_ids)} category ids; give one each")
        if len(set(self.class_names)) != len(self.class_names):
            twice = sorted({name for name in self.class_names if self.class_names.count(name) > 1})
            raise ValueError(
                f"{self.name}: class names that occur more than once: {', '.join(twice)}; classes are told apart by name, so rename them"
            )

    def __len__(self) -> int:
        return len(self.records)

    def take(self, images: Iterable[int], name: str | None = None) -> DetectionData:
        """The same data with only some images, by place."""
        return replace(self, records=self.records.take(images), name=name or self.name)
