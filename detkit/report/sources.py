"""The images of a report: where their files are, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.arrays import ImageArray
from detkit.evaluation.ground_truth import GroundTruth

if TYPE_CHECKING:
    from detkit.data import DetectionData


@dataclass(frozen=True)
class ImageSource:
    """The image files of a ground truth.

    Attributes:
        paths: Files by image id; empty if they are unknown.
        reader: Reads the image of an id as ``(H, W, 3)`` uint8 RGB; None if images are not shown.
    """

    paths: Mapping[int, Path]
    reader: Callable[[int], ImageArray] | None = None

    @classmethod
    def of_data(cls, data: DetectionData) -> ImageSource:
        """Return the images of labeled data."""
        from detkit.data.record_image import read_record
        from detkit.evaluation.dataset_truth import image_numbers

        index_of = {number: index for index, number in enumerate(image_numbers(data)[image_id] for image_id in data.records.image_ids)}
        paths = {number: Path(data.records.paths[index]) for number, index in index_of.items()}
        return cls(paths, lambda number: read_record(data.records[index_of[number]]))

    @classmethod
    def of_rows(cls, data: DetectionData) -> ImageSource:
        """Return the images of labeled data by their index, as those of a classifier, which may be several parts of one file."""
        from detkit.data.record_image import read_record

        paths = {index: Path(path) for index, path in enumerate(data.records.paths)}
        return cls(paths, lambda index: read_record(data.records[index]))

    @classmethod
    def of_folder(cls, truth: GroundTruth, folder: Path | None) -> ImageSource:
        """Return the images that a COCO file names, in a folder; without a folder there are none.

        Raises:
            ValueError: If the file names no images, or none of the first ten is in the folder.
        """
        from detkit.data.media.images import read_image

        if folder is None:
            return cls({})
        paths = {image_id: folder / name.replace("\\", "/") for image_id, name in truth.files.items()}
        first = list(paths.values())[:10]
        if not any(path.is_file() for path in first):
            named = f"no file such as {first[0]}" if first else f"{truth.name} names no files (file_name)"
            raise ValueError(f"--images {folder}: expected the images of {truth.name}; {named}")
        return cls(paths, lambda image_id: read_image(paths[image_id]))

    def href(self, image_id: int) -> str:
        """Return the address of an image's file, empty if it is unknown."""
        path = self.paths.get(image_id)
        try:
            return "" if path is None else path.absolute().as_uri()
        except ValueError:  # a name that is no UTF-8
            return ""
