"""Label writers, one per format, behind one protocol: a new one is a file and a line in :data:`WRITERS`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detkit.data.writers.labeled import LabeledData
    from detkit.data.writers.protocol import WriteOptions, Writer

WRITERS: dict[str, str] = {
    "coco": "detkit.data.writers.coco:CocoWriter",
    "voc": "detkit.data.writers.voc:VocWriter",
    "yolo": "detkit.data.writers.yolo:YoloWriter",
    "labelme": "detkit.data.writers.labelme:LabelmeWriter",
    "cvat": "detkit.data.writers.cvat:CvatWriter",
    "createml": "detkit.data.writers.createml:CreateMlWriter",
    "label_studio": "detkit.data.writers.label_studio:LabelStudioWriter",
    "csv": "detkit.data.writers.csv_table:CsvWriter",
}
"""The writer of each label format, imported on demand, so that listing the formats is fast."""


def writer(kind: str, options: WriteOptions | None = None) -> Writer:
    """Return the writer of a label format.

    Raises:
        ValueError: If there is none.
    """
    if kind not in WRITERS:
        raise ValueError(f"label format {kind!r}: expected one of {', '.join(WRITERS)}")
    module, _, name = WRITERS[kind].partition(":")
    kind_of_writer = getattr(importlib.import_module(module), name)
    found: Writer = kind_of_writer() if options is None else kind_of_writer(options)
    return found


def image_folder(folder: Path, kind: str, split: str) -> Path:
    """Return the folder of the images of a split, in a data set of this format at ``folder``.

    Raises:
        ValueError: If the format is unknown.
    """
    return writer(kind).image_folder(folder, split)


def write_labels(data: LabeledData, folder: str | Path, kind: str, split: str, options: WriteOptions | None = None) -> None:
    """Write the labels of one split; its images must be in or below :func:`image_folder`.

    Every format keeps boxes exactly, and all classes in their order; ``writer(kind).holds`` states what else it keeps. What it cannot
    hold is left out; :func:`detkit.curation.convert` counts it.

    Raises:
        ValueError: If the format is unknown, or if two images would share a label file because their paths without extension are equal.
    """
    writer(kind, options).write(data, Path(folder), split)


__all__ = ["WRITERS", "image_folder", "write_labels", "writer"]
