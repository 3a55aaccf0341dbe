"""Labeled images: the image reader, label readers, class mapping by name, augmentation and batch loading."""

from detkit.data.classes import ClassMapping, parse_renames
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
