"""Label writers, one per format, behind one protocol: a new one is a file and a line in :data:`WRITERS`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detkit.data.writers.labeled import LabeledData
    from detkit.data.writers.protocol import Writer

WRITERS: dict[str, str] = {
    "coco": "detkit.data.writers.coco:CocoWriter",
    "voc": "detkit.data.writers.voc:VocWriter",
    "yolo": "detkit.data.writers.yolo:YoloWriter",
}
"""The writer of each label format, imported on demand, so that listing the formats is fast."""


def writer(kind: str) -> Writer:
    """Return the writer of a label format.

    Raises:
        ValueError: If there is none.
    """
    if kind not in WRITERS:
        raise ValueError(f"label format {kind!r}: expected one of {', '.join(WRITERS)}")
    module, _, name = WRITERS[kind].partition(":")
    found: Writer = getattr(importlib.import_module(module), name)()
    return found


def image_folder(folder: Path, kind: str, split: str) -> Path:
    """Return the folder of the images of a split, in a data set of this format at ``folder``.

    Raises:
        ValueError: If the format is unknown.
    """
    return writer(kind).image_folder(folder, split)


def write_labels(data: LabeledData, folder: str | Path, kind: str, split: str) -> None:
    """Write the labels of one split; its images must be in :func:`image_folder`.

    COCO keeps everything (difficult in a field of its own, segmentations as they were read). VOC loses crowd flags and segmentations and
    rounds to whole pixels. YOLO keeps only boxes and classes.

    Raises:
        ValueError: If the format is unknown, or if two images would share a label file because their names without extension are equal.
    """
    writer(kind).write(data, Path(folder), split)


__all__ = ["WRITERS", "image_folder", "write_labels", "writer"]
