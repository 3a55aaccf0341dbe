"""YOLO: a ``data.yaml``, and one text file per image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from detkit.checkpoint.atomic import atomic_write, write_text
from detkit.data.writers.labeled import LabeledData, LabeledImage
from detkit.data.writers.protocol import check_stems


class YoloWriter:
    """``data.yaml``, ``labels/SPLIT`` and ``images/SPLIT``; see :class:`~detkit.data.writers.protocol.ImageWise`."""

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of a split belong."""
        return folder / "images" / split

    def write(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the labels of one split, which are boxes and classes only."""
        check_stems(data, "yolo")
        for record in data.records:
            self.write_image(record, data.class_names, folder, split)
        self.describe(data.class_names, folder, split)

    def describe(self, class_names: Sequence[str], folder: Path, split: str) -> None:
        """Write the split and the class names to ``data.yaml``."""
        path = folder / "data.yaml"
        content = yaml.safe_load(path.read_text("utf-8-sig")) if path.is_file() else {}
        content.update({split: f"images/{split}", "names": dict(enumerate(class_names))})
        write_text(path, yaml.safe_dump(content, sort_keys=False))

    def write_image(self, record: LabeledImage, class_names: Sequence[str], folder: Path, split: str) -> None:
        """Write the text file of one image."""
        del class_names
        with atomic_write(folder / "labels" / split / f"{record.path.stem}.txt", sync=False) as temporary:
            temporary.write_text("".join(_yolo_lines(record)), "utf-8")

    def finish(self, data: LabeledData, folder: Path, split: str) -> None:
        """Do nothing: the description and the files of the images are all there is."""


def _yolo_lines(record: LabeledImage) -> list[str]:
    height, width = record.size
    lines = []
    for (x1, y1, x2, y2), label in zip(record.targets.boxes.tolist(), record.targets.labels.tolist(), strict=True):
        numbers = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        lines.append(f"{label} {' '.join(f'{number:.8f}' for number in numbers)}\n")
    return lines
