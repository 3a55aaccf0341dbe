"""Detections as the labels of a new data set, for a person to correct."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.results_files import ClassNames, ImageResult

if TYPE_CHECKING:
    from detkit.data.records import ImageRecord
    from detkit.data.writers import Kind

SPLIT = "train"


class LabelWriter:
    """A data set of images that were looked at: copies of them, and what was found as their labels.

    Args:
        folder: New or empty, so that no label that somebody corrected is lost.
        kind: ``coco``, ``voc`` or ``yolo``.

    Raises:
        ValueError: the folder has something in it.
    """

    def __init__(self, folder: str, kind: Kind) -> None:
        self.folder = Path(folder)
        self.kind = kind
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise ValueError(f"--labels {folder}: the folder is not empty, and labels in it may have been corrected; give a new one")
        self._records: list[ImageRecord] = []
        self._stems: set[str] = set()

    def add(self, found: ImageResult, pixels: Any) -> None:
        """Copy a image, or save a frame of a video (``(H, W, 3)`` uint8 RGB) as one, and take its detections."""
        from PIL import Image

        from detkit.data.images import IMAGE_EXTENSIONS
        from detkit.data.records import ImageRecord
        from detkit.data.writers import image_folder
        from detkit.structures import Targets

        images = image_folder(self.folder, self.kind, SPLIT)
        images.mkdir(parents=True, exist_ok=True)
        if found.frame is not None:
            path = images / f"{self._free(f'{found.path.stem}_{found.frame:06d}')}.jpg"
            Image.fromarray(pixels).save(path, quality=95)
        elif found.path.suffix.lower() in IMAGE_EXTENSIONS:
            path = images / (self._free(found.path.stem) + found.path.suffix)
            shutil.copyfile(found.path, path)
        else:  # readers find images by their endings
            path = images / f"{self._free(found.path.name)}.png"
            Image.fromarray(pixels).save(path)
        targets = Targets.of(found.detections.boxes, found.detections.labels)
        targets = targets[targets.areas > 0]  # a box without area lay in the margin of the network's input
        self._records.append(ImageRecord(path, len(self._records) + 1, found.size, targets))

    def _free(self, stem: str) -> str:
        """The stem, or the first with a number behind it that no other image has, in any case of letters."""
        number, name = 1, stem
        while name.casefold() in self._stems:
            number += 1
            name = f"{stem}-{number}"
        self._stems.add(name.casefold())
        return name

    def write(self, class_names: ClassNames, reported: Sequence[str]) -> tuple[int, int]:
        """Write the labels of all images taken; give the number of images and of boxes.

        Args:
            class_names: One a label.
            reported: The classes that the data set gets: those that could be found.
        """
        import torch

        from detkit.data.records import DetectionData
        from detkit.data.writers import write_labels

        number = {name: place for place, name in enumerate(reported)}
        places = torch.tensor([number.get(name or "", -1) for name in class_names])
        records = [replace(record, targets=record.targets.replace(labels=places[record.targets.labels])) for record in self._records]
        if records:
            write_labels(DetectionData.of(str(self.folder), reported, records), self.folder, self.kind, SPLIT)
        return len(records), sum(len(record.targets) for record in records)
