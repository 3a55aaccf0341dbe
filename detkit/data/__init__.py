"""Labeled images: the image reader, label readers, class mapping by name, augmentation and batch loading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.data.classes import ClassMapping, ClassMismatchError, parse_renames
    from detkit.data.media.images import IMAGE_EXTENSIONS, decode_image, image_size, read_image
    from detkit.data.records import DetectionData, ImageId, ImageRecord, Records
    from detkit.data.report import ReadIssue, ReadReport
    from detkit.data.sources import DataConfig, SourceConfig, read_source, splits_of, with_split
    from detkit.data.splits import class_lines, load_data, split_by_image
    from detkit.data.synthetic import make_sample
    from detkit.data.writers import write_labels

__all__ = [
    "IMAGE_EXTENSIONS",
    "ClassMapping",
    "ClassMismatchError",
    "DataConfig",
    "DetectionData",
    "ImageId",
    "ImageRecord",
    "ReadIssue",
    "ReadReport",
    "Records",
    "SourceConfig",
    "class_lines",
    "decode_image",
    "image_size",
    "load_data",
    "make_sample",
    "parse_renames",
    "read_image",
    "read_source",
    "split_by_image",
    "splits_of",
    "with_split",
    "write_labels",
]

# The command line lists the label formats without importing torch.
__getattr__ = lazy_getattr(
    __name__,
    {
        ".classes": ("ClassMapping", "ClassMismatchError", "parse_renames"),
        ".media.images": ("IMAGE_EXTENSIONS", "decode_image", "image_size", "read_image"),
        ".records": ("DetectionData", "ImageId", "ImageRecord", "Records"),
        ".report": ("ReadIssue", "ReadReport"),
        ".sources": ("DataConfig", "SourceConfig", "read_source", "splits_of", "with_split"),
        ".splits": ("class_lines", "load_data", "split_by_image"),
        ".synthetic": ("make_sample",),
        ".writers": ("write_labels",),
    },
)
