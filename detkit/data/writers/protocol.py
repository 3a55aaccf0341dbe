"""The protocol of label writers, and the check that formats with one label file per image share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from detkit.data.writers.labeled import LabeledData, LabeledImage


class Writer(Protocol):
    """A writer of one label format, without state; the reader of the format finds what it writes."""

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of a split belong, in a data set at ``folder``."""
        ...

    def write(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the labels of one split, whose images are in :meth:`image_folder`.

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


def check_stems(data: LabeledData, name: str) -> None:
    """Check that every image has a label file of its own, which is found again.

    Raises:
        ValueError: If two images would share one, because their names without extension are equal, or if a name is that of a hidden
            file or has a line break.
    """
    known: dict[str, Path] = {}
    for path in map(Path, data.records.paths):
        if path.name.startswith(".") or not path.stem.isprintable():
            raise ValueError(f"{str(path)!r}: {name} labels of an image of this name could not be read back; rename it, or write coco")
        other = known.setdefault(path.stem, path)
        if other != path:
            raise ValueError(f"{path}: its {name} label file would also be that of {other}; rename one of the two, or write coco")
