"""Rows of results: one for each image, with its detections as lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detkit.arrays import Size
from detkit.bulk.arrow import pyarrow as pa
from detkit.structures.detection import DetectionArrays, DetectionMethods
from detkit.structures.masks import Masks
from detkit.structures.run_lengths import mask_array

SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("boxes", pa.list_(pa.list_(pa.float32(), 4))),
        ("scores", pa.list_(pa.float32())),
        ("labels", pa.list_(pa.int32())),
        ("classes", pa.list_(pa.string())),
        ("masks", pa.list_(pa.string())),
        ("error", pa.string()),
    ]
)
"""Columns of version 2. ``image``: its name. ``width``, ``height``: in pixels, after rotation by the EXIF orientation. ``boxes``: ``x1 y1
x2 y2`` of each detection in pixels, best first; ``scores``, ``labels`` and ``classes``, the class name, likewise: empty lists for an image
without objects. ``masks``: COCO's compressed run lengths of each detection, down the columns of ``height`` x ``width`` pixels; null for
detectors without masks; version 1 had no such column. ``error``: why an image could not be read, else null; all columns between are null
then."""


@dataclass(frozen=True, eq=False)
class ImageRow:
    """The result of one image.

    Attributes:
        image: Name of the image; None if it has none.
        size: ``(height, width)``; None if the image could not be read.
        detections: Its detections in pixels of the image, best first; None if it could not be read.
        error: The reason if it could not be read.
    """

    image: str | None
    size: tuple[int, int] | None = None
    detections: DetectionMethods | None = None
    error: str | None = None


def to_table(rows: Sequence[ImageRow], class_names: Sequence[str | None]) -> Any:
    """Return rows as a ``pyarrow.Table`` of :data:`SCHEMA`.

    Args:
        rows: The rows.
        class_names: Class names by label.
    """
    arrays = [None if row.detections is None else row.detections.numpy() for row in rows]
    found = [part for part in arrays if part is not None] or [_NONE]
    labels = np.concatenate([part.labels for part in found]).astype(np.int32)
    offsets = _offsets([None if part is None else len(part) for part in arrays])
    boxes = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate([part.boxes for part in found]).reshape(-1)), 4)
    names = pa.array([*class_names, None], pa.string())
    lists = {
        "boxes": boxes,
        "scores": pa.array(np.concatenate([part.scores for part in found])),
        "labels": pa.array(labels),
        "classes": names.take(pa.array(labels)),
    }
    columns = {
        "image": pa.array([row.image for row in rows], pa.string()),
        "width": pa.array([None if row.size is None else row.size[1] for row in rows], pa.int32()),
        "height": pa.array([None if row.size is None else row.size[0] for row in rows], pa.int32()),
        **{name: pa.ListArray.from_arrays(offsets, values).cast(SCHEMA.field(name).type) for name, values in lists.items()},
        "masks": pa.array([_runs(row) for row in rows], SCHEMA.field("masks").type),
        "error": pa.array([row.error for row in rows], pa.string()),
    }
    return pa.table(columns, schema=SCHEMA)


def upgraded(table: Any) -> Any:
    """Return a table of any version with the columns of :data:`SCHEMA`."""
    if "masks" in table.column_names:
        return table
    masks = SCHEMA.field("masks")
    return table.add_column(SCHEMA.get_field_index("masks"), masks, pa.nulls(table.num_rows, masks.type))


def masks_of(counts: Sequence[str | None], size: Size) -> Masks:
    """Return masks from their compressed run lengths in an image of ``size``; None is a row without a mask."""
    rows = [Masks.none(1) if text is None else Masks.of([(mask_array({"size": size, "counts": text}), 0, 0)]) for text in counts]
    return Masks.cat(rows) if rows else Masks.none(0)


def _runs(row: ImageRow) -> list[str | None] | None:
    """Return the compressed run lengths of the masks of an image; None if there are no masks."""
    masks = None if row.detections is None else row.detections.numpy().masks
    if masks is None or row.size is None:
        return None
    runs = [masks.runs(index, row.size) for index in range(len(masks))]
    return [None if value is None else value["counts"] for value in runs]


def _offsets(counts: Sequence[int | None]) -> Any:
    """Return the offsets of lists in the array of their values; null for a list that is null."""
    offsets: list[int | None] = []
    position = 0
    for count in counts:
        offsets.append(None if count is None else position)
        position += count or 0
    return pa.array([*offsets, position], pa.int32())


_NONE = DetectionArrays(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
