"""Detection on labeled images, which background threads read ahead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, TypeAlias

from detkit.arrays import ImageArray
from detkit.data.media.image_regions import ImageRegions
from detkit.data.record_image import read_record
from detkit.data.records import DetectionData, ImageRecord
from detkit.inference.files import PredictorOf, reader_of, windows
from detkit.structures import Detections

PredictorLike: TypeAlias = PredictorOf[Detections]
"""Interface of a :class:`Predictor` and of an :class:`ImagePyramid` of one."""


def detect_records(
    predictor: PredictorLike, data: DetectionData | Iterable[ImageRecord], *, threads: int = 2
) -> Iterator[tuple[ImageRecord, Detections]]:
    """Yield each labeled image with its detections, in the order of the records.

    Raises:
        FileNotFoundError: If an image does not exist.
        ValueError: If an image cannot be read, or its size differs from its record; the message names the file.
    """
    records = data.records if isinstance(data, DetectionData) else data
    read = partial(read_record, read=reader_of(predictor))
    contents: Iterator[list[tuple[ImageRecord, Any]]] = windows(records, read, predictor.batch_size, threads)
    for window in contents:
        for record, pixels in window:
            if isinstance(pixels, Exception):
                raise pixels
            _check_size(record, pixels)
        if any(isinstance(pixels, ImageRegions) for _, pixels in window):
            yield from ((record, _one(predictor, pixels)) for record, pixels in window)
        else:
            prepared = [predictor.prepare(pixels) for _, pixels in window]
            yield from zip((record for record, _ in window), predictor.detect(prepared), strict=True)


def _one(predictor: PredictorLike, image: ImageArray | ImageRegions) -> Detections:
    """Return the detections of one image, of which the decoded pixels are then freed."""
    (detections,) = predictor.detect([predictor.prepare(image)])
    if isinstance(image, ImageRegions):
        image.release()
    return detections


def _check_size(record: ImageRecord, pixels: ImageArray | ImageRegions) -> None:
    if tuple(pixels.shape[:2]) != tuple(record.size):
        height, width = record.size
        raise ValueError(
            f"{record.path}: expected {width} x {height} pixels as in its annotation, got {pixels.shape[1]} x {pixels.shape[0]}; "
            "correct the annotation, as its boxes would be wrong"
        )
