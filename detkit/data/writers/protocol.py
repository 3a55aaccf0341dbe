"""The protocol of label writers, what formats can state, and where label files of single images are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import ClassVar, Literal, Protocol, runtime_checkable

from detkit.data.writers.labeled import LabeledData, LabeledImage

Outlines = Literal["none", "instead", "in_addition"]
"""Whether a format states no outlines, outlines instead of boxes, or outlines in addition to boxes."""

PartNames = Literal["any", "splits", "three"]
"""Names of parts that a format accepts: any; those like train, val and test, such as ``valid`` or ``train2017``; only these three."""


@dataclass(frozen=True)
class WriteOptions:
    """How labels are written.

    Attributes:
        polygons: Outlines instead of boxes, in formats that state one of them for an object.
        whole_pixels: Boxes of VOC in whole pixels.
    """

    polygons: bool = False
    whole_pixels: bool = False


DEFAULTS = WriteOptions()
"""Boxes, exactly."""


@dataclass(frozen=True, kw_only=True)
class Holds:
    """Values that the labels of a format hold besides classes and boxes.

    Attributes:
        crowds: Flags of groups of objects, which are ignored in training and evaluation.
        difficult: Flags of objects that are hard to recognize.
        areas: Areas that differ from those of the boxes.
        image_ids: Numbers of the images.
        category_ids: Numbers of the classes.
        empty_images: Images without objects.
        class_list: A list of all classes, in their order.
        outer_spaces: Spaces around the names of classes.
        polygons: Outlines as polygons.
        masks: Outlines as run lengths.
        pieces: Several polygons of one object.
        stems: Whether images with the same name and other extensions would share a label file.
        one_folder: Whether the images of all parts are in one folder.
        parts: Names of parts that its reader recognizes.
    """

    crowds: bool = False
    difficult: bool = False
    areas: bool = False
    image_ids: bool = False
    category_ids: bool = False
    empty_images: bool = True
    class_list: bool = True
    outer_spaces: bool = False
    polygons: Outlines = "none"
    masks: Outlines = "none"
    pieces: bool = False
    stems: bool = False
    one_folder: bool = False
    parts: PartNames = "splits"


class Writer(Protocol):
    """A writer of one label format; the reader of the format finds what it writes."""

    holds: ClassVar[Holds]
    """What its labels can state."""

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of a split belong, in a data set at ``folder``."""
        ...

    def write(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the labels of one split, whose images are in or below :meth:`image_folder`.

        Raises:
            ValueError: If the format cannot hold the data; the message names the image.
        """
        ...


@runtime_checkable
class ImageWise(Writer, Protocol):
    """A writer whose format has a label file for each image, so that a data set can be built image by image."""

    def describe(self, class_names: Sequence[str], folder: Path, split: str) -> None:
        """Write what the format states of a split before its images, such as a file of class names; nothing if there is no such file."""
        ...

    def write_image(self, record: LabeledImage, class_names: Sequence[str], folder: Path, split: str) -> None:
        """Write the label file of one image."""
        ...

    def finish(self, data: LabeledData, folder: Path, split: str) -> None:
        """Complete a split of which every image was given to :meth:`write_image`."""
        ...


def write_all(writer: ImageWise, data: LabeledData, folder: Path, split: str) -> None:
    """Write the labels of a split image by image.

    Raises:
        ValueError: If two images would share a label file, or if one could not be found again.
    """
    check_stems(data, writer.image_folder(folder, split))
    writer.describe(data.class_names, folder, split)
    for record in data.records:
        writer.write_image(record, data.class_names, folder, split)
    writer.finish(data, folder, split)


def numbered(image_ids: Sequence[int | str]) -> Sequence[int | str]:
    """Return ids for a format in which they are numbers: the given ones if all are, else 1 to N."""
    return image_ids if all(isinstance(image_id, int) for image_id in image_ids) else range(1, len(image_ids) + 1)


def image_name(path: Path, images: Path) -> str:
    """Return the path of an image in its image folder, with forward slashes; only its own name if it is elsewhere."""
    return path.relative_to(images).as_posix() if path.is_relative_to(images) else path.name


def label_name(path: Path, images: Path, suffix: str = "") -> str:
    """Return the path of an image in its image folder with the suffix of its label file."""
    return str(PurePath(image_name(path, images)).with_suffix("")) + suffix


def check_stems(data: LabeledData, images: Path) -> None:
    """Check that every image has a label file of its own, which is found again.

    Raises:
        ValueError: If two images would share one, because their paths without extension are equal, or if a name is that of a hidden
            file or has a line break.
    """
    known: dict[str, Path] = {}
    for path in map(Path, data.records.paths):
        name = label_name(path, images)
        if not name.isprintable() or any(part.startswith(".") for part in PurePath(name).parts):
            raise ValueError(f"{str(path)!r}: the labels of an image of this name could not be read back; rename it, or write coco")
        other = known.setdefault(name, path)
        if other != path:
            raise ValueError(f"{path}: its label file would also be that of {other}; rename one of the two, or write coco")
