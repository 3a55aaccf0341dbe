"""Write detections as the labels of a new data set, to be corrected by a person."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.detect.results import ClassNames, ImageResult
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.data.records import ImageRecord

SPLIT = "train"
_LABEL_ENDINGS = (".xml", ".txt", ".json", ".yaml")
_UNSAFE = re.compile(r"[^\w\-.()+,=@]|^[^\w(+=,@]")
"""Characters that a format's lists, labels or readers do not keep: spaces, controls, quotes, brackets; a dot or a dash in front."""
_LONGEST_STEM = 180
"""Bytes of the name of a copy without its extension; file systems allow 255, extensions and temporary names included."""


def safe_stem(stem: str) -> str:
    """Return a file name without extension that every format can hold, equal to ``stem`` if that can be."""
    from detkit.data.media.images import IMAGE_EXTENSIONS

    safe = _UNSAFE.sub("_", stem.strip()) or "_"
    if safe.lower().endswith((*IMAGE_EXTENSIONS, *_LABEL_ENDINGS)):  # a second extension would be read as the only one
        safe = f"{safe.rpartition('.')[0]}_{safe.rpartition('.')[2]}"
    return safe.encode()[:_LONGEST_STEM].decode("utf-8", "ignore")


def safe_names(names: Sequence[str]) -> list[str]:
    """Return class names that every format can hold: without control characters and outer spaces, not empty, and no two equal."""
    safe: list[str] = []
    for index, name in enumerate(names):
        text = base = " ".join(printable(name).split()) or f"class {index}"
        number = 1
        while text in safe:
            number += 1
            text = f"{base} {number}"
        safe.append(text)
    return safe


class LabelWriter:
    """A data set with copies of the processed images, and their detections as labels.

    Args:
        folder: A new or empty folder, so that corrected labels are never overwritten.
        kind: A label format of :data:`detkit.data.writers.WRITERS`.

    Attributes:
        renamed: Number of copies that could not keep their names.

    Raises:
        ValueError: If the folder is not empty.
    """

    def __init__(self, folder: str, kind: str) -> None:
        self.folder = Path(folder)
        self.kind = kind
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise ValueError(
                f"--labels {folder}: expected a new or empty folder, as labels in it may have been corrected; give another one"
            )
        self.renamed = 0
        self._records: list[ImageRecord] = []
        self._stems: set[str] = set()

    def add(self, result: ImageResult, pixels: Any) -> None:
        """Copy an image, or save a frame of a video, ``(H, W, 3)`` uint8 RGB, and keep its detections."""
        from PIL import Image

        from detkit.checkpoint import atomic_write
        from detkit.data.media.images import IMAGE_EXTENSIONS
        from detkit.data.records import ImageRecord
        from detkit.data.writers import image_folder
        from detkit.structures import Targets

        images = image_folder(self.folder, self.kind, SPLIT)
        images.mkdir(parents=True, exist_ok=True)
        if result.frame is not None:
            path = images / f"{self._unused_stem(f'{result.path.stem}_{result.frame:06d}')}.jpg"
            with atomic_write(path) as temporary:
                Image.fromarray(pixels).save(temporary, "JPEG", quality=95)
        elif result.path.suffix.lower() in IMAGE_EXTENSIONS:
            path = images / (self._unused_stem(result.path.stem) + result.path.suffix)
            with atomic_write(path) as temporary:
                shutil.copyfile(result.path, temporary)
        else:  # readers recognize images by their extensions
            path = images / f"{self._unused_stem(result.path.name)}.png"
            with atomic_write(path) as temporary:
                Image.fromarray(pixels).save(temporary, "PNG")
        targets = Targets.of(result.detections.boxes, result.detections.labels)
        targets = targets[targets.areas > 0]  # a box without area was in the padding of the network's input
        self._records.append(ImageRecord(path, len(self._records) + 1, result.size, targets))

    def _unused_stem(self, stem: str) -> str:
        """Return a stem that every format can hold, with a number appended if another image has it, ignoring case."""
        safe = safe_stem(stem)
        self.renamed += safe != stem
        number, name, stem = 1, safe, safe
        while name.casefold() in self._stems:
            number += 1
            name = f"{stem}-{number}"
        self._stems.add(name.casefold())
        return name

    def write(self, class_names: ClassNames, reported: Sequence[str]) -> tuple[int, int]:
        """Write the labels of all added images, and return the number of images and of boxes.

        Args:
            class_names: The class name of each label of the detections.
            reported: The classes of the data set: those that the detector reports.
        """
        import torch

        from detkit.data.records import DetectionData
        from detkit.data.writers import write_labels

        index_of = {name: index for index, name in enumerate(reported)}  # by the detector's own names
        new_labels = torch.tensor([index_of.get(name or "", -1) for name in class_names])
        records = [replace(record, targets=record.targets.replace(labels=new_labels[record.targets.labels])) for record in self._records]
        if records:
            write_labels(DetectionData.of(str(self.folder), safe_names(reported), records), self.folder, self.kind, SPLIT)
        return len(records), sum(len(record.targets) for record in records)
