"""Write detections as the labels of a new data set, to be corrected by a person."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.detect.results import ClassNames, ImageResult
from detkit.cli.outputs import check_empty
from detkit.cli.results.names import UnusedStems, safe_file_stem, safe_names

if TYPE_CHECKING:
    from detkit.data.writers.labeled import ArrayImage
    from detkit.data.writers.protocol import ImageWise, WriteOptions

SPLIT = "train"
_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
"""Formats in which pixels are written, by extension."""
_LABEL_ENDINGS = (".xml", ".txt", ".json", ".yaml")
_UPDATE_SECONDS, _UPDATE_COST = 10.0, 20.0
"""Time between two updates of a label file of all images: at least this, and this multiple of the time that an update takes."""


def safe_stem(stem: str) -> str:
    """Return a file name without extension that every format can hold, equal to ``stem`` if that can be."""
    from detkit.data.media.images import IMAGE_EXTENSIONS

    safe = safe_file_stem(stem)
    if safe.lower().endswith((*IMAGE_EXTENSIONS, *_LABEL_ENDINGS)):  # a second extension would be read as the only one
        safe = f"{safe.rpartition('.')[0]}_{safe.rpartition('.')[2]}"
    return safe


class LabelWriter:
    """A data set with copies of the processed images, and their detections as labels.

    The labels of an image are written before its copy appears, so that a data set whose command was killed holds no image that its
    labels declare empty. With a single file for all images, that file is updated from time to time.

    Args:
        folder: A new or empty folder, so that corrected labels are never overwritten.
        kind: A label format of :data:`detkit.data.writers.WRITERS`.

    Attributes:
        renamed: Number of copies that could not keep their names.
        boxes: Number of boxes written.

    Raises:
        ValueError: If the folder is not empty.
    """

    def __init__(self, folder: str, kind: str) -> None:
        self.folder = Path(folder)
        self.kind = kind
        check_empty("--labels", folder, "as labels in it may have been corrected")
        self.renamed = 0
        self.boxes = 0
        self._class_names: list[str] = []
        self._image_wise: ImageWise | None = None
        self._options: WriteOptions | None = None
        self._records: list[ArrayImage] = []
        self._stems = UnusedStems()
        self._updated, self._update_seconds = time.monotonic(), 0.0

    def begin(self, class_names: ClassNames, reported: Sequence[str]) -> None:
        """Set the classes, before the first image.

        Args:
            class_names: The class name of each label of the detections.
            reported: The classes of the data set: those that the detector reports.
        """
        import numpy as np

        from detkit.data.writers import writer
        from detkit.data.writers.protocol import ImageWise, WriteOptions

        self._options = WriteOptions(whole_pixels=True, polygons=True)  # a detector's boxes are not more exact than a pixel
        labels = writer(self.kind, self._options)
        self._image_wise = labels if isinstance(labels, ImageWise) else None
        index_of = {name: index for index, name in enumerate(reported)}  # by the detector's own names
        self._new_labels = np.array([index_of.get(name or "", -1) for name in class_names], np.int64)
        self._class_names = safe_names(reported)

    def add(self, result: ImageResult, pixels: Any) -> None:
        """Write the labels of an image, then copy it, or save a frame of a video, ``(H, W, 3)`` uint8 RGB."""
        from detkit.data.writers import image_folder
        from detkit.data.writers.labeled import ArrayImage, TargetArrays
        from detkit.data.writers.outlines import outlines_of

        path = image_folder(self.folder, self.kind, SPLIT) / self._unused_name(result)
        rows = result.detections.numpy()
        x1, y1, x2, y2 = rows.boxes.T
        has_area = (x2 > x1) & (y2 > y1)  # a box without area was in the padding of the network's input
        masks = None if rows.masks is None else rows.masks[has_area]
        targets = TargetArrays(rows.boxes[has_area], self._new_labels[rows.labels[has_area]], *outlines_of(masks))
        record = ArrayImage(path, len(self._records) + 1, result.size, targets)
        if self._image_wise is not None:
            if not self._records:
                self._image_wise.describe(self._class_names, self.folder, SPLIT)
            self._image_wise.write_image(record, self._class_names, self.folder, SPLIT)
        _save(result, pixels, path)
        self._records.append(record)
        self.boxes += len(targets.boxes)
        if self._image_wise is None:
            self._update()

    def _update(self) -> None:
        """Write the one file of all images, if the last time is long ago compared with what it took."""
        if time.monotonic() - self._updated > max(_UPDATE_SECONDS, _UPDATE_COST * self._update_seconds):
            start = time.monotonic()
            self.finish()
            self._updated = time.monotonic()
            self._update_seconds = self._updated - start

    def _unused_name(self, result: ImageResult) -> str:
        """Return the name of the copy: that of the image, or a name by which readers recognize it as one."""
        from detkit.data.media.images import IMAGE_EXTENSIONS

        if result.frame is not None:
            return f"{self._unused_stem(f'{result.stem}_{result.frame:06d}')}.jpg"
        if result.path is None:
            return f"{self._unused_stem(result.stem)}.png"
        suffix = result.path.suffix.lower()
        if suffix in _FORMATS or (suffix in IMAGE_EXTENSIONS and not result.is_changed):
            return self._unused_stem(result.stem) + result.path.suffix
        return f"{self._unused_stem(result.path.name)}.png"

    def _unused_stem(self, stem: str) -> str:
        """Return a stem that every format can hold, with a number appended if another image has it, ignoring case."""
        safe = safe_stem(stem)
        self.renamed += safe != stem
        return self._stems.unused(safe)

    def finish(self) -> tuple[int, int]:
        """Complete the data set, and return the number of images and of boxes."""
        from detkit.data.writers import write_labels
        from detkit.data.writers.labeled import ArrayData, ArrayImages

        if self._records:
            data = ArrayData(tuple(self._class_names), ArrayImages(self._records))
            if self._image_wise is not None:
                self._image_wise.finish(data, self.folder, SPLIT)
            else:
                write_labels(data, self.folder, self.kind, SPLIT, self._options)
        return len(self._records), self.boxes


def _save(result: ImageResult, pixels: Any, path: Path) -> None:
    """Copy an image to ``path`` if its extension says what it is and its pixels were not changed; otherwise write its pixels."""
    from PIL import Image

    from detkit.checkpoint import atomic_write

    with atomic_write(path) as temporary:
        if result.path is not None and result.frame is None and path.suffix == result.path.suffix and not result.is_changed:
            shutil.copyfile(result.path, temporary)
        else:
            Image.fromarray(pixels).save(temporary, _FORMATS[path.suffix.lower()], quality=95)
