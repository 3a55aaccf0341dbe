"""Write detections as the labels of a new data set, to be corrected by a person."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.detect.results import ClassNames, ImageResult

if TYPE_CHECKING:
    from detkit.data.records import ImageRecord
    from detkit.data.writers import Kind

SPLIT = "train"


class LabelWriter:
    """A data set with copies of the processed images, and their detections as labels.

    Args:
        folder: A new or empty folder, so that corrected labels are never overwritten.
        kind: ``coco``, ``voc`` or ``yolo``.

    Raises:
        ValueError: If the folder is not empty.
    """

    def __init__(self, folder: str, kind: Kind) -> None:
        self.folder = Path(folder)
        self.kind = kind
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise ValueError(
                f"--labels {folder}: expected a new or empty folder, as labels in it may have been corrected; give another one"
            )
        self._records: list[ImageRecord] = []
        self._stems: set[str] = set()

    def add(self, result: ImageResult, pixels: Any) -> None:
        """Copy an image, or save a frame of a video, ``(H, W, 3)`` uint8 RGB, and keep its detections."""
        from PIL import Image

        from detkit.data.media.images import IMAGE_EXTENSIONS
        from detkit.data.records import ImageRecord
        from detkit.data.writers import image_folder
        from detkit.structures import Targets

        images = image_folder(self.folder, self.kind, SPLIT)
        images.mkdir(parents=True, exist_ok=True)
        if result.frame is not None:
            path = images / f"{self._unused_stem(f'{result.path.stem}_{result.frame:06d}')}.jpg"
            Image.fromarray(pixels).save(path, quality=95)
        elif result.path.suffix.lower() in IMAGE_EXTENSIONS:
            path = images / (self._unused_stem(result.path.stem) + result.path.suffix)
            shutil.copyfile(result.path, path)
        else:  # readers recognize images by their extensions
            path = images / f"{self._unused_stem(result.path.name)}.png"
            Image.fromarray(pixels).save(path)
        targets = Targets.of(result.detections.boxes, result.detections.labels)
        targets = targets[targets.areas > 0]  # a box without area was in the padding of the network's input
        self._records.append(ImageRecord(path, len(self._records) + 1, result.size, targets))

    def _unused_stem(self, stem: str) -> str:
        """Return the stem, with a number appended if another image has it, ignoring case."""
        number, name = 1, stem
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

        index_of = {name: index for index, name in enumerate(reported)}
        new_labels = torch.tensor([index_of.get(name or "", -1) for name in class_names])
        records = [replace(record, targets=record.targets.replace(labels=new_labels[record.targets.labels])) for record in self._records]
        if records:
            write_labels(DetectionData.of(str(self.folder), reported, records), self.folder, self.kind, SPLIT)
        return len(records), sum(len(record.targets) for record in records)
