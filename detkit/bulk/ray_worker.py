"""Detection on batches of a Ray dataset: the class that Ray's actors are made of. It does not import Ray."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detkit.bulk.arrow import pyarrow as pa
from detkit.bulk.detect import failed_row
from detkit.bulk.detector import DetectorSpec, load_sent
from detkit.bulk.listing import row_name
from detkit.bulk.rows import SCHEMA, ImageRow, to_table
from detkit.data.live.address import is_address
from detkit.data.media.images import decode_image
from detkit.inference.files import PredictorOf, read_path, windows
from detkit.inference.image_like import as_pixels
from detkit.machine import keep_freed_memory

CONTENT_COLUMNS = ("bytes", "image", "path", "item")
"""Columns that are looked for, in this order: those of ``ray.data``'s ``read_binary_files``, ``read_images`` and ``from_items``."""
_READERS = 2


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Columns of the dataset.

    Attributes:
        content: The images: paths, addresses, bytes of files, or arrays; None: the first of :data:`CONTENT_COLUMNS` that exists.
        names: Names of the images; a dataset without it has names if it has paths.
        keep: Columns that are added to the results as they are.
        folder: Folder that relative paths are relative to, where the machine has it; None: the one that a worker is started in.
    """

    content: str | None = None
    names: str = "path"
    keep: tuple[str, ...] = ()
    folder: str | None = None

    def content_of(self, batch: Mapping[str, Any]) -> str:
        """Return the column of the images.

        Raises:
            ValueError: If the dataset has none, or lacks a column to keep.
        """
        known = CONTENT_COLUMNS if self.content is None else (self.content,)
        column = next((name for name in known if name in batch), None)
        if column is None:
            raise ValueError(f"ray_detect: expected a column {' or '.join(map(repr, known))}, got {', '.join(batch)}; name it with column=")
        if missing := [name for name in self.keep if name not in batch]:
            raise ValueError(f"ray_detect: keep={missing[0]!r}: expected one of the columns {', '.join(batch)}")
        return column


class BatchDetector:
    """Loads a detector once, and detects on the images of one batch after the other.

    Args:
        spec: The detector.
        contents: The bytes of its files, by name; or a reference to them in Ray's object store, with ``fetch``.
        columns: Columns of the dataset.
        fetch: Gets what the reference stands for; None: ``contents`` is no reference.
    """

    def __init__(self, spec: DetectorSpec, contents: Any, columns: Columns, fetch: Any = None) -> None:
        self._columns = columns
        if columns.folder is not None and Path(columns.folder).is_dir():
            os.chdir(columns.folder)  # the process is the actor's own
            keep_freed_memory()  # as in `detkit detect`: a sixth of the processor time
        self._predictor: PredictorOf[Any] = load_sent(spec, contents if fetch is None else fetch(contents))

    def __call__(self, batch: Mapping[str, Any]) -> Any:
        """Return the results of a batch as a ``pyarrow.Table`` of :data:`detkit.bulk.rows.SCHEMA`, and the columns that are kept.

        Args:
            batch: Columns of one length.
        """
        content = self._columns.content_of(batch)
        values = list(batch[content])
        names = [_name(value) for value in batch.get(self._columns.names, values)]
        table = to_table(list(self._rows(values, names)), self._predictor.class_names)
        for name in self._columns.keep:
            table = table.append_column(name, pa.array(list(batch[name])))
        return table

    def _rows(self, values: Sequence[Any], names: Sequence[str | None]) -> Iterator[ImageRow]:
        def read(index: int) -> Any:
            return read_value(values[index], names[index])

        for window in windows(range(len(values)), read, self._predictor.batch_size, _READERS):
            images = [(index, pixels) for index, pixels in window if not isinstance(pixels, Exception)]
            detections = self._predictor.detect([self._predictor.prepare(pixels) for _, pixels in images])
            found = dict(zip((index for index, _ in images), detections, strict=True))
            for index, pixels in window:
                if isinstance(pixels, Exception):
                    yield failed_row(names[index], pixels)
                else:
                    yield ImageRow(names[index], (pixels.shape[0], pixels.shape[1]), found[index])


def read_value(value: Any, name: str | None) -> Any:
    """Return the image in a cell as ``(H, W, 3)`` uint8 RGB.

    Args:
        value: A path or address, the bytes of a file, or an array ``(H, W, 3)`` or ``(H, W)`` uint8 RGB.
        name: Name of the image, for messages.

    Raises:
        ValueError, OSError: If it is no image.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return decode_image(bytes(value), name or "image")
    if isinstance(value, str | Path):
        return read_path(value if isinstance(value, str) and is_address(value) else Path(value))
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{name or 'image'}: expected a path, the bytes of a file or an array, got {type(value).__name__}")
    pixels = as_pixels(value)
    if 0 in pixels.shape:
        raise ValueError(f"{name or 'image'}: expected an image with pixels, got an array of shape {tuple(value.shape)}")
    return pixels


def _name(value: Any) -> str | None:
    return row_name(str(value)) if isinstance(value, str | Path) else None


RESULT_COLUMNS = tuple(SCHEMA.names)
"""Columns of the results."""
