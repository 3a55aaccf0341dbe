"""Labeled images as read from a data set: one table of all boxes, accessed as one record per image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from detkit.data.report import ReadReport
from detkit.ops.windows import Window
from detkit.structures import Segmentations, Size, Targets
from detkit.structures.columns import select, to_array, to_tensor

ImageId = int | str
"""An image's id in its data set: COCO's number, VOC's file stem, YOLO's path in the image folder."""


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
        columns: Values of all ``N`` boxes by the names of the columns of ``kind``, as NumPy arrays of the same types.
        windows: ``(M, 4)`` int64 ``x1 y1 x2 y2``, the part of each file that is the image; None if all images are whole files.
        kind: The type of a record's targets, which declares the columns.
    """

    paths: tuple[str, ...]
    image_ids: tuple[ImageId, ...]
    sizes: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    columns: Mapping[str, Any]
    windows: npt.NDArray[np.int64] | None = None
    kind: type[Targets] = Targets

    def __post_init__(self) -> None:
        if self.columns.keys() != self.kind.columns.keys():
            raise ValueError(f"Records.columns: expected {', '.join(self.kind.columns)}, got {', '.join(self.columns)}")

    @property
    def boxes(self) -> npt.NDArray[np.float32]:
        """``(N, 4)`` float32 ``x1 y1 x2 y2``."""
        return self._array("boxes")

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """``(N,)`` int64."""
        return self._array("labels")

    @property
    def is_crowd(self) -> npt.NDArray[np.bool_]:
        """``(N,)`` bool."""
        return self._array("is_crowd")

    @property
    def is_difficult(self) -> npt.NDArray[np.bool_]:
        """``(N,)`` bool."""
        return self._array("is_difficult")

    @property
    def is_ignore(self) -> npt.NDArray[np.bool_]:
        """``(N,)`` bool."""
        return self._array("is_ignore")

    @property
    def areas(self) -> npt.NDArray[np.float32]:
        """``(N,)`` float32 square pixels."""
        return self._array("areas")

    @property
    def segmentations(self) -> Segmentations | None:
        """The outlines and masks; None if no object has one."""
        value: Segmentations | None = self.columns["segmentations"]
        return value

    def _array(self, name: str) -> npt.NDArray[Any]:
        value: npt.NDArray[Any] = self.columns[name]
        return value

    @classmethod
    def of(cls, records: Iterable[ImageRecord]) -> Records:
        """Build the table from single records, whose targets are all of the same type."""
        if isinstance(records, Records):
            return records
        rows = tuple(records)
        kind = type(rows[0].targets) if rows else Targets
        targets = kind.cat([row.targets for row in rows])
        lengths = [len(row.targets) for row in rows]
        has_windows = any(row.window for row in rows)
        return cls(
            tuple(str(row.path) for row in rows),
            tuple(row.image_id for row in rows),
            np.array([row.size for row in rows], np.int64).reshape(-1, 2),
            _offsets(lengths),
            {name: to_array(getattr(targets, name)) for name in kind.columns},
            np.array([row.window or (0, 0, *row.size[::-1]) for row in rows], np.int64) if has_windows else None,
            kind,
        )

    @classmethod
    def cat(cls, tables: Sequence[Records]) -> Records:
        """Concatenate the images of several tables with the same columns."""
        kind, counts = tables[0].kind, [len(table.boxes) for table in tables]
        return cls(
            tuple(path for table in tables for path in table.paths),
            tuple(image_id for table in tables for image_id in table.image_ids),
            np.concatenate([table.sizes for table in tables]),
            _offsets(np.concatenate([table.lengths for table in tables])),
            {name: column.cat([table.columns[name] for table in tables], counts) for name, column in kind.columns.items()},
            np.concatenate([table._windows() for table in tables]) if any(t.windows is not None for t in tables) else None,
            kind,
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
        targets = self.kind(**{name: to_tensor(_copied(select(value, rows))) for name, value in self.columns.items()})
        height, width = self.sizes[index].tolist()
        window = None if self.windows is None else Window(*self.windows[index].tolist())
        return ImageRecord(Path(self.paths[index]), self.image_ids[index], (height, width), targets, window)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of objects of each image, shape ``(M,)``."""
        return np.diff(self.offsets)

    def class_counts(self, num_classes: int) -> npt.NDArray[np.int64]:
        """Return the number of boxes of each class, shape ``(K,)``, without the regions that are of no class."""
        return np.bincount(self.labels[~self.is_ignore], minlength=num_classes)

    @property
    def image_index(self) -> npt.NDArray[np.int64]:
        """Index in ``paths`` of each box's image, shape ``(N,)``."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, images: Iterable[int]) -> Records:
        """Return the records of the images with the given indices, in the given order."""
        selected = np.fromiter(images, np.int64)
        lengths = self.lengths[selected]
        offsets = _offsets(lengths)
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
        table = self if labels is None else replace(self, columns={**self.columns, "labels": labels})
        return replace(table._rows(np.flatnonzero(keep)), offsets=_offsets(keep)[self.offsets])

    def _windows(self) -> npt.NDArray[np.int64]:
        return np.concatenate([np.zeros_like(self.sizes), self.sizes[:, ::-1]], axis=1) if self.windows is None else self.windows

    def _rows(self, rows: npt.NDArray[np.int64]) -> Records:
        return replace(self, columns={name: select(value, rows) for name, value in self.columns.items()})


def _offsets(lengths: npt.ArrayLike) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _copied(value: Any) -> Any:
    """Return a copy of an array, so that the table stays as it is; other columns cannot be written to."""
    return value.copy() if isinstance(value, np.ndarray) else value


@dataclass(frozen=True)
class CocoFile:
    """The COCO file that records were read from, for code that needs its numbers as published.

    The records themselves round, clip and skip boxes.

    Attributes:
        path: The JSON file.
        labels: Category id in the file to label in the records; categories that are not used are missing.
        ignored: Ids of the categories in the file whose boxes are regions to ignore for every class.
        ignores_difficult: Whether difficult objects are ignored as crowds are.
    """

    path: str
    labels: Mapping[int, int]
    ignored: frozenset[int] = frozenset()
    ignores_difficult: bool = False

    def relabeled(self, indices: Sequence[int | None]) -> CocoFile:
        """Return the same file with label ``i`` replaced by ``indices[i]``, or removed where that is None."""
        labels = {category: indices[label] for category, label in self.labels.items()}
        return replace(self, labels={category: label for category, label in labels.items() if label is not None})


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
        image_root: Folder that the names of its images are relative to; empty if it is not known.
    """

    name: str
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    records: Records
    report: ReadReport = field(default_factory=ReadReport)
    coco_file: CocoFile | None = None
    is_classification: bool = False
    image_root: str = ""

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
